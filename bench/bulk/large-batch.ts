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
import { uploadDocuments } from './upload.ts';

export interface LargeBatchOptions {
  folder: ModelFolder;
  texts: readonly string[];
  rows: number;
  say: (line: string) => void;
  lifecycle: Lifecycle;
}

/** What is going on, and from when on, by `performance.now()`. */
export interface Phase {
  name: 'upload' | 'plan' | 'score' | 'assemble';
  fromMs: number;
  untilMs: number;
}

export interface LargeBatch {
  rows: number;
  inputBytes: number;
  uploadSeconds: number;
  seconds: BatchSeconds;
  /** Of one thread that does nothing else, before the batch and after it. */
  tokenizerRowsPerS: number;
  idle: MemorySample;
  samples: MemorySample[];
  phases: Phase[];
}

const TOKENIZER_MS = 10_000;
const POLL_MS = 1_000;
const SAY_EVERY_POLLS = 15;

/** One batch of so many rows through services whose engines answer zeros at once. */
export async function runLargeBatch(options: LargeBatchOptions): Promise<LargeBatch> {
  const { folder, texts, rows, say, lifecycle } = options;
  const encode = await openEncoder(folder);
  const system = await startSystem(folder, 'null', lifecycle);
  const { pid: dispatcher } = await startBenchDispatcher(system.env, lifecycle);
  const client = openBulkClient(system, lifecycle);
  const memory = sampleMemory(system, dispatcher, lifecycle);
  const idle = await memory.idle();
  const alone = () => measureTokenizer(encode, texts, TOKENIZER_MS);
  const before = alone();
  say(`the tokenizer alone: ${before.toFixed(0)} rows/s`);

  const uploadFromMs = performance.now();
  const input = await uploadDocuments(system.apiUrl, texts, rows);
  const createdMs = performance.now();
  say(`${rows} rows, ${input.bytes} bytes, uploaded in ${input.seconds.toFixed(1)} s`);
  const batch = await client.create(modelRef(folder.manifest), input.fileId);
  await watch(client, batch.id, say);
  const seconds = await client.finished(batch);

  const plannedMs = createdMs + seconds.plan * 1000;
  const scoredMs = plannedMs + seconds.score * 1000;
  const assembledMs = scoredMs + seconds.assemble * 1000;
  const samples = [...memory.samples];
  const after = alone();
  say(`the tokenizer alone: ${after.toFixed(0)} rows/s`);
  return {
    rows,
    inputBytes: input.bytes,
    uploadSeconds: input.seconds,
    seconds,
    tokenizerRowsPerS: mean([before, after]),
    idle,
    samples,
    phases: [
      { name: 'upload', fromMs: uploadFromMs, untilMs: createdMs },
      { name: 'plan', fromMs: createdMs, untilMs: plannedMs },
      { name: 'score', fromMs: plannedMs, untilMs: scoredMs },
      { name: 'assemble', fromMs: scoredMs, untilMs: assembledMs },
    ],
  };
}

async function watch(client: BulkClient, id: string, say: (line: string) => void): Promise<void> {
  for (let polls = 1; ; polls++) {
    const { status, completed, total } = await client.read(id);
    if (isTerminal(status)) return;
    if (polls % SAY_EVERY_POLLS === 0) say(`${status}: ${completed} of ${total} rows`);
    await sleep(POLL_MS);
  }
}
