import { availableParallelism } from 'node:os';
import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { type ModelFolder, modelRef } from '@headrace/shared/manifests.ts';
import { cutBatches } from '../../apps/worker/src/inference/cut-batches.ts';
import type { Encoding } from '../../apps/worker/src/inference/encoding.ts';
import { EnginePool } from '../../apps/worker/src/inference/engine/engine-pool.ts';
import { warmUp } from '../../apps/worker/src/inference/engine/warm-up.ts';
import { engineSpecOf } from '../../apps/worker/src/inference/engine-spec.ts';
import { type VerifiedModel, verifyModel } from '../../apps/worker/src/inference/models.ts';
import { PROVIDERS, type ProviderName } from '../../apps/worker/src/inference/providers/index.ts';
import { samplePart } from '../documents.ts';
import { encodeDocuments } from '../encode.ts';
import type { BenchContext, Figure } from '../part.ts';

const SIZES = { full: { rows: 2_000, alone: 100 }, quick: { rows: 100, alone: 10 } };
const RUN_DEADLINE_MS = 60_000;
const START_TIMEOUT_MS = 120_000;
/** As a worker cuts them. */
const LIMITS = {
  cpu: { tokenBudget: 512, overheadCells: 16 },
  cuda: { tokenBudget: 16_384, overheadCells: 2_048 },
} as const satisfies Record<ProviderName, object>;

/**
 * The same rows through the worker's own engines on both devices: how far their numbers are apart,
 * and how far those of a row alone are from those it has in company. Loading includes the golden
 * rows, so a device that is too far off fails here.
 */
export async function compareDevices(context: BenchContext): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const folder of context.models) {
    for (const variant of Object.keys(folder.manifest.variants)) {
      figures.push(...(await compareVariant(folder, variant, context)));
    }
  }
  return figures;
}

async function compareVariant(
  folder: ModelFolder,
  variant: string,
  { documents, quick, say, lifecycle }: BenchContext,
): Promise<Figure[]> {
  const sizes = quick ? SIZES.quick : SIZES.full;
  const rows = await encodeDocuments(folder, samplePart(documents, sizes.rows));
  const encodings = rows.map(({ ids }): Encoding => ({ ids, typeIds: null }));
  const model = await verifyModel(folder, variant);
  const onCpu = await runOn('cpu', model, { encodings, alone: 0, lifecycle });
  const onCuda = await runOn('cuda', model, { encodings, alone: sizes.alone, lifecycle });
  const name = `cuda.${folder.manifest.name}_${variant}`;
  const apart = farthest(onCuda.together, onCpu.together);
  const fromAlone = farthest(onCuda.alone, onCuda.together.slice(0, sizes.alone));
  const flipped = onCuda.together.filter((values, i) => best(values) !== best(onCpu.together[i]));
  const differences = `${apart.toExponential(1)} from the CPU, ${fromAlone.toExponential(1)} alone`;
  say(`${modelRef(folder.manifest)}:${variant} on CUDA: ${differences}, ${flipped.length} flipped`);
  const figure = (key: string, unit: string, value: number): Figure => ({
    ...{ name: `${name}.${key}`, unit, value, rounds: [value] },
  });
  return [
    figure('farthest_from_cpu_e6', '1e-6', apart * 1e6),
    figure('farthest_alone_e6', '1e-6', fromAlone * 1e6),
    figure('flipped_rows', `of ${rows.length}`, flipped.length),
    figure('load_ms', 'ms', onCuda.loadMs),
    figure('largest_run_ms', 'ms', onCuda.largestMs),
  ];
}

interface Work {
  encodings: Encoding[];
  /** So many of them are run by themselves as well. */
  alone: number;
  lifecycle: Lifecycle;
}

interface Numbers {
  together: Float32Array[];
  alone: Float32Array[];
  loadMs: number;
  largestMs: number;
}

async function runOn(device: ProviderName, model: VerifiedModel, work: Work): Promise<Numbers> {
  const pool = new EnginePool({
    spec: engineSpecOf(model, PROVIDERS[device], { threads: 1, deviceId: 0 }),
    engines: device === 'cpu' ? availableParallelism() : 1,
    niceness: 0,
    startTimeoutMs: START_TIMEOUT_MS,
    log: createLogger({ service: 'bench', level: 'silent' }),
  });
  work.lifecycle.push('engines', () => pool.stop());
  const started = await pool.start();
  const { largestMs } = await warmUp(pool, model, { tokenBudget: LIMITS[device].tokenBudget });
  const together: Float32Array[] = [];
  const places = work.encodings.map((encoding, at) => ({ encoding, at }));
  const run = async (some: typeof places, into: Float32Array[]) => {
    const encodings = some.map(({ encoding }) => encoding);
    const longest = Math.max(...encodings.map(({ ids }) => ids.length));
    const { outcomes } = await pool.run({ encodings, longest }, RUN_DEADLINE_MS);
    for (const [i, outcome] of outcomes.entries()) {
      if (!outcome.ok) throw new Error(`a row ended in ${outcome.code}`);
      into[some[i]?.at ?? 0] = outcome.values;
    }
  };
  await Promise.all(cutBatches(places, LIMITS[device]).map((some) => run(some, together)));
  const alone: Float32Array[] = [];
  for (const place of places.slice(0, work.alone)) await run([place], alone);
  await pool.stop();
  const loadMs = Math.max(...started.map(({ totalMs }) => totalMs));
  return { together, alone, loadMs, largestMs };
}

function farthest(some: readonly Float32Array[], others: readonly Float32Array[]): number {
  let most = 0;
  for (const [i, values] of some.entries()) {
    for (const [k, value] of values.entries()) {
      most = Math.max(most, Math.abs(value - (others[i]?.[k] ?? Number.NaN)));
    }
  }
  return most;
}

/** The place of the largest number. */
function best(values: Float32Array | undefined): number {
  return values?.indexOf(Math.max(...values)) ?? -1;
}
