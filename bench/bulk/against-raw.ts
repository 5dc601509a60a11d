import { modelRef } from '@headrace/shared/manifests.ts';
import { samplePart } from '../documents.ts';
import { encodeDocuments } from '../encode.ts';
import { type Figure, findModel, type Part } from '../part.ts';
import { bestBudget, type RawDevice, type RawRound, startRawCeiling } from '../raw-ceiling.ts';
import { medianFigure, quotients } from '../statistics.ts';
import { startBenchDispatcher, startSystem } from '../system.ts';
import { type BatchSeconds, openBulkClient } from './bulk-batch.ts';
import { bulkCpu, bulkCpuFigures } from './bulk-cpu.ts';
import { phaseFigures } from './phase-figures.ts';
import { uploadDocuments } from './upload.ts';

interface Sizes {
  documents: number;
  trial: number;
  passes: number;
  rounds: number;
}

export interface BulkSetup {
  /** What the names of its figures begin with. */
  label: string;
  sizes: { full: Sizes; quick: Sizes };
  /** Undefined: all cores. */
  device: RawDevice | undefined;
  /** Of worker and dispatcher, where they differ from the default. */
  settings: Record<string, string>;
}

const ON_CPU: BulkSetup = {
  label: 'bulk',
  sizes: {
    full: { documents: 2_000, trial: 600, passes: 2, rounds: 3 },
    quick: { documents: 200, trial: 100, passes: 1, rounds: 1 },
  },
  device: undefined,
  settings: {},
};

/**
 * Documents a second of a whole batch, from its creation to its file of results, against the raw
 * ceiling, one after the other in each round. A batch takes the documents of the raw side `passes`
 * times over, so that its beginning and its end weigh as little as they do in a long one.
 */
export function bulkAgainstRaw(name: 'minilm' | 'sentiment', setup = ON_CPU): Part {
  const part = `${setup.label}_${name}`;
  return async ({ documents, models, quick, say, lifecycle }) => {
    const folder = findModel(models, name);
    if (folder === undefined) {
      say(`${part}: skipped, there is no folder models/${name}`);
      return [];
    }
    const sizes = quick ? setup.sizes.quick : setup.sizes.full;
    const rows = await encodeDocuments(folder, samplePart(documents, sizes.documents));
    const ids = rows.map((row) => row.ids);
    const raw = await startRawCeiling(folder, lifecycle, setup.device);
    const system = await startSystem(folder, setup.settings, lifecycle);
    const { pid: dispatcher } = await startBenchDispatcher(
      { ...setup.settings, ...system.env },
      lifecycle,
    );
    const trial = samplePart(rows, sizes.trial).map((row) => row.ids);
    const budget = await bestBudget(raw, trial, Math.min(2, sizes.rounds));
    const client = openBulkClient(system, lifecycle);
    const texts = rows.map(({ text }) => text);
    const upload = (count: number) => uploadDocuments(system.apiUrl, texts, count);
    const model = modelRef(folder.manifest);
    await client.run(model, (await upload(sizes.trial)).fileId);
    const count = sizes.passes * rows.length;
    const input = await upload(count);
    say(`${part}: ${count} rows, uploaded in ${input.seconds.toFixed(2)} s`);

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
      say(`${part} ${round}/${sizes.rounds}: ${speeds}, ratio ${(speed / ceiling).toFixed(3)}`);
    }
    const after = await system.cells();
    const [real, padded] = [after.real - cells.real, after.padded - cells.padded];
    return [
      ...ratiosOf(part, count, measured),
      ...phaseFigures(part, count, measured.batches),
      ...bulkCpuFigures(part, count, cpu),
      medianFigure(`${part}.padding_ratio`, '', [padded / (real + padded)]),
      medianFigure(`${part}.raw_budget_cells`, 'cells', [budget]),
    ];
  };
}

function ratiosOf(
  part: string,
  rows: number,
  { raw, batches }: { raw: RawRound[]; batches: BatchSeconds[] },
): Figure[] {
  const ceiling = raw.map(({ documentsPerS }) => documentsPerS);
  const whole = batches.map(({ total }) => rows / total);
  const scoring = batches.map(({ score }) => rows / score);
  return [
    medianFigure(`ratios.${part}`, '', quotients(whole, ceiling)),
    medianFigure(`${part}.scoring_ratio`, '', quotients(scoring, ceiling)),
    medianFigure(`${part}.raw_rows_per_s`, 'rows/s', ceiling),
  ];
}
