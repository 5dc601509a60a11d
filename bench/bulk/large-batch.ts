import { setTimeout as sleep } from 'node:timers/promises';
import { isTerminal } from '@headrace/shared/bulk/batch.ts';
import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { type ModelFolder, modelRef } from '@headrace/shared/manifests.ts';
import { openEncoder } from '../encode.ts';
import { mean } from '../statistics.ts';
import { startBenchDispatcher, startSystem } from '../system.ts';
import { type BatchSeconds, type BulkClient, openBulkClient } from './bulk-batch.ts';
import { type MemorySample, sampleMemory } from './memory.ts';
import { measureTokenizer } from './tokenizer-alone.ts';
import { type UploadedInput, uploadDocuments } from './upload.ts';

export interface LargeBatchOptions {
  folder: ModelFolder;
  texts: readonly string[];
  rows: number;
  say: (line: string) => void;
  lifecycle: Lifecycle;
}

/** When the rows were scored, by `performance.now()`. */
export interface ScorePhase {
  fromMs: number;
  untilMs: number;
}

/** One batch, from its upload to its end. */
interface BatchRun {
  input: UploadedInput;
  seconds: BatchSeconds;
  samples: MemorySample[];
  score: ScorePhase;
}

export interface LargeBatch extends BatchRun {
  rows: number;
  /** Of one thread that does nothing else, before the batch and after it. */
  tokenizerRowsPerS: number;
  idle: MemorySample;
  /** While the same processes ran a batch of a tenth of the rows, before. */
  samplesOfTenth: MemorySample[];
}

const TOKENIZER_MS = 10_000;
const POLL_MS = 1_000;
const SAY_EVERY_POLLS = 15;

/** Two batches, of a tenth and of all rows, through services whose engines answer zeros at once. */
export async function runLargeBatch(options: LargeBatchOptions): Promise<LargeBatch> {
  const { folder, texts, rows, say, lifecycle } = options;
  const encode = await openEncoder(folder);
  const system = await startSystem(folder, 'null', lifecycle);
  const { pid: dispatcher } = await startBenchDispatcher(system.env, lifecycle);
  const client = openBulkClient(system, lifecycle);
  const memory = sampleMemory(system, dispatcher, lifecycle);
  const idle = await memory.idle();
  const run = async (count: number): Promise<BatchRun> => {
    const from = memory.samples.length;
    const input = await uploadDocuments(system.apiUrl, texts, count);
    const createdMs = performance.now();
    say(`${count} rows, ${input.bytes} bytes, uploaded in ${input.seconds.toFixed(1)} s`);
    const batch = await client.create(modelRef(folder.manifest), input.fileId);
    await watch(client, batch.id, say);
    const seconds = await client.finished(batch);
    const fromMs = createdMs + seconds.plan * 1000;
    const score = { fromMs, untilMs: fromMs + seconds.score * 1000 };
    return { input, seconds, score, samples: memory.samples.slice(from) };
  };
  const alone = () => {
    const speed = measureTokenizer(encode, texts, TOKENIZER_MS);
    say(`the tokenizer alone: ${speed.toFixed(0)} rows/s`);
    return speed;
  };

  const tenth = await run(Math.ceil(rows / 10));
  const before = alone();
  const all = await run(rows);
  const tokenizerRowsPerS = mean([before, alone()]);
  return { ...all, rows, idle, tokenizerRowsPerS, samplesOfTenth: tenth.samples };
}

async function watch(client: BulkClient, id: string, say: (line: string) => void): Promise<void> {
  for (let polls = 1; ; polls++) {
    const { status, completed, total } = await client.read(id);
    if (isTerminal(status)) return;
    if (polls % SAY_EVERY_POLLS === 0) say(`${status}: ${completed} of ${total} rows`);
    await sleep(POLL_MS);
  }
}
