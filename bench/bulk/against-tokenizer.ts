import { modelRef } from '@headrace/shared/manifests.ts';
import { openEncoder } from '../encode.ts';
import { defaultModel, type Part } from '../part.ts';
import { medianFigure, quotients } from '../statistics.ts';
import { startBenchDispatcher, startSystem } from '../system.ts';
import { openBulkClient } from './bulk-batch.ts';
import { bulkCpu, bulkCpuFigures } from './bulk-cpu.ts';
import { phaseFigures } from './phase-figures.ts';
import { measureTokenizer } from './tokenizer-alone.ts';
import { uploadDocuments } from './upload.ts';

const SIZES = {
  full: { rows: 400_000, warmRows: 200_000, rounds: 3, tokenizerMs: 4_000 },
  quick: { rows: 20_000, warmRows: 10_000, rounds: 1, tokenizerMs: 500 },
};

/**
 * Everything of a batch but the model: planned, scored by engines that answer zeros at once, and
 * assembled, against one thread that only tokenizes the same documents, in turn. The worker has one
 * tokenizer thread as well.
 */
export const bulkNullEngine: Part = async ({ quick, models, documents, say, lifecycle }) => {
  const { rows, warmRows, rounds, tokenizerMs } = quick ? SIZES.quick : SIZES.full;
  const folder = defaultModel(models);
  const model = modelRef(folder.manifest);
  const encode = await openEncoder(folder);
  const texts = documents.map(({ text }) => text);
  const system = await startSystem(folder, 'null', lifecycle);
  const { pid: dispatcher } = await startBenchDispatcher(system.env, lifecycle);
  const client = openBulkClient(system, lifecycle);
  await client.run(model, (await uploadDocuments(system.apiUrl, texts, warmRows)).fileId);
  const input = await uploadDocuments(system.apiUrl, texts, rows);
  say(`bulk_null_engine: ${rows} rows uploaded in ${input.seconds.toFixed(1)} s`);
  measureTokenizer(encode, texts, tokenizerMs);
  const alone: number[] = [];
  const batches: Awaited<ReturnType<typeof client.run>>[] = [];
  const cpu: Parameters<typeof bulkCpuFigures>[2][number][] = [];
  for (let round = 1; round <= rounds; round++) {
    alone.push(measureTokenizer(encode, texts, tokenizerMs));
    const before = bulkCpu(system, dispatcher);
    batches.push(await client.run(model, input.fileId));
    cpu.push({ before, after: bulkCpu(system, dispatcher) });
    const [a, b] = [alone.at(-1) ?? 0, rows / (batches.at(-1)?.total ?? Number.NaN)];
    say(
      `bulk_null_engine ${round}/${rounds}: tokenizer ${a.toFixed(0)}, bulk ${b.toFixed(0)} rows/s`,
    );
  }
  const speeds = batches.map(({ total }) => rows / total);
  return [
    medianFigure('ratios.bulk_null_engine', '', quotients(speeds, alone)),
    medianFigure('bulk_null_engine.tokenizer_rows_per_s', 'rows/s', alone),
    ...phaseFigures('bulk_null_engine', rows, batches),
    ...bulkCpuFigures('bulk_null_engine', rows, cpu),
  ];
};
