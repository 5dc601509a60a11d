import { modelRef } from '@headrace/shared/manifests.ts';
import { samplePart } from '../documents.ts';
import { encodeDocuments } from '../encode.ts';
import { type Figure, findModel, type Part } from '../part.ts';
import { bestBudget, type RawRound, startRawCeiling } from '../raw-ceiling.ts';
import { medianFigure, quotients } from '../statistics.ts';
import { startBenchDispatcher, startSystem } from '../system.ts';
import { type BatchSeconds, openBulkClient } from './bulk-batch.ts';
import { bulkCpu, bulkCpuFigures } from './bulk-cpu.ts';
import { phaseFigures } from './phase-figures.ts';
import { uploadDocuments } from './upload.ts';

const SIZES = {
  full: { documents: 2_000, trial: 600, passes: 2, rounds: 3 },
  quick: { documents: 200, trial: 100, passes: 1, rounds: 1 },
};

/**
 * Documents a second of a whole batch, from its creation to its file of results, against the raw
 * ceiling, one after the other in each round. A batch takes the documents of the raw side `passes`
 * times over, so that its beginning and its end weigh as little as they do in a long one.
 */
export function bulkAgainstRaw(name: 'minilm' | 'sentiment'): Part {
  return async ({ documents, models, quick, say, lifecycle }) => {
    const folder = findModel(models, name);
    if (folder === undefined) {
      say(`bulk_${name}: skipped, there is no folder models/${name}`);
      return [];
    }
    const sizes = quick ? SIZES.quick : SIZES.full;
    const rows = await encodeDocuments(folder, samplePart(documents, sizes.documents));
    const ids = rows.map((row) => row.ids);
    const raw = await startRawCeiling(folder, lifecycle);
    const system = await startSystem(folder, 'onnx', lifecycle);
    const { pid: dispatcher } = await startBenchDispatcher(system.env, lifecycle);
    const trial = samplePart(rows, sizes.trial).map((row) => row.ids);
    const budget = await bestBudget(raw, trial, Math.min(2, sizes.rounds));
    const client = openBulkClient(system, lifecycle);
    const texts = rows.map(({ text }) => text);
    const upload = (count: number) => uploadDocuments(system.apiUrl, texts, count);
    const model = modelRef(folder.manifest);
    await client.run(model, (await upload(sizes.trial)).fileId);
    const count = sizes.passes * rows.length;
    const input = await upload(count);
    say(`bulk_${name}: ${count} rows, uploaded in ${input.seconds.toFixed(2)} s`);

    const measured = { raw: [] as RawRound[], batches: [] as BatchSeconds[] };
    const cpu: Parameters<typeof bulkCpuFigures>[2][number][] = [];
    const cells = await system.cells();
    for (let round = 1; round <= sizes.rounds; round++) {
      measured.raw.push(await raw.measure(ids, budget));
      const before = bulkCpu(system, dispatcher);
      measured.batches.push(await client.run(model, input.fileId));
      cpu.push({ before, after: bulkCpu(system, dispatcher) });
      const [ceiling, batch] = [measured.raw.at(-1)?.documentsPerS ?? 0, measured.batches.at(-1)];
      const speed = count / (batch?.total ?? Number.NaN);
      const speeds = `raw ${ceiling.toFixed(1)}, bulk ${speed.toFixed(1)} documents/s`;
      say(
        `bulk_${name} ${round}/${sizes.rounds}: ${speeds}, ratio ${(speed / ceiling).toFixed(3)}`,
      );
    }
    const after = await system.cells();
    const [real, padded] = [after.real - cells.real, after.padded - cells.padded];
    return [
      ...ratiosOf(name, count, measured),
      ...phaseFigures(`bulk_${name}`, count, measured.batches),
      ...bulkCpuFigures(`bulk_${name}`, count, cpu),
      medianFigure(`bulk_${name}.padding_ratio`, '', [padded / (real + padded)]),
      medianFigure(`bulk_${name}.raw_budget_cells`, 'cells', [budget]),
    ];
  };
}

function ratiosOf(
  name: string,
  rows: number,
  { raw, batches }: { raw: RawRound[]; batches: BatchSeconds[] },
): Figure[] {
  const ceiling = raw.map(({ documentsPerS }) => documentsPerS);
  const whole = batches.map(({ total }) => rows / total);
  const scoring = batches.map(({ score }) => rows / score);
  return [
    medianFigure(`ratios.bulk_${name}`, '', quotients(whole, ceiling)),
    medianFigure(`bulk_${name}.scoring_ratio`, '', quotients(scoring, ceiling)),
    medianFigure(`bulk_${name}.raw_rows_per_s`, 'rows/s', ceiling),
  ];
}
