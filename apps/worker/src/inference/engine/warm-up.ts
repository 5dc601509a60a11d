import { type Manifest, modelRef } from '@headrace/shared/manifests.ts';
import type { Encoding } from '../encoding.ts';
import { ModelProblem, type VerifiedModel } from '../models.ts';
import type { EnginePool } from './engine-pool.ts';
import type { BatchOutcome } from './tensor-batch.ts';

export interface WarmUpOptions {
  /** Most padded cells of a run. */
  tokenBudget: number;
  /** The worker's tokenizer; without it the ids of the manifest are not compared to its own. */
  encode?: (text: string, textPair: string | null) => Promise<Int32Array>;
}

export interface WarmUpResult {
  /** The largest run that the budget allows, milliseconds, on the slowest engine. */
  largestMs: number;
  /** Of all engines together, in runs of that shape. */
  tokensPerSecond: number;
}

/** Far beyond any run of a sane budget: it only has to end at last. */
const RUN_DEADLINE_MS = 60_000;

/**
 * Runs every shape that is worth running on every engine of an idle pool, and compares the golden
 * rows of the manifest with what this machine makes of them. A null engine is only run.
 * @throws ModelProblem with the first difference: model, file, row and number
 */
export async function warmUp(
  pool: EnginePool,
  model: VerifiedModel,
  options: WarmUpOptions,
): Promise<WarmUpResult> {
  const { manifest } = model.folder;
  const [compared, largest] = await Promise.allSettled([
    options.encode && compareIds(manifest, options.encode),
    runShapes(pool, model, options.tokenBudget),
  ]);
  if (compared.status === 'rejected') throw compared.reason;
  if (largest.status === 'rejected') throw largest.reason;
  return largest.value;
}

async function compareIds(
  manifest: Manifest,
  encode: NonNullable<WarmUpOptions['encode']>,
): Promise<void> {
  for (const [row, golden] of manifest.golden.entries()) {
    const ids = await encode(golden.text, golden.text_pair);
    const length = Math.max(ids.length, golden.ids.length);
    for (let i = 0; i < length; i++) {
      if (ids[i] === golden.ids[i]) continue;
      const found = ids[i] ?? 'missing';
      const difference = `token ${i} is ${found}, expected ${golden.ids[i] ?? 'none'}`;
      throw new ModelProblem(
        modelRef(manifest),
        'tokenizer.json',
        `golden row ${row}: ${difference}`,
      );
    }
  }
}

async function runShapes(
  pool: EnginePool,
  model: VerifiedModel,
  tokenBudget: number,
): Promise<WarmUpResult> {
  const { manifest } = model.folder;
  for (const row of manifest.golden.keys()) await runGolden(pool, model, row);
  await runOnAll(pool, model, [longRow(manifest, 1)]);
  const tokens = manifest.max_tokens;
  const rows = Math.max(1, Math.floor(tokenBudget / tokens));
  const runs = await runOnAll(pool, model, Array(rows).fill(longRow(manifest, tokens)));
  const largestMs = Math.max(...runs.map((run) => run.inferMs));
  const cells = rows * tokens * pool.engines;
  // A null engine takes no time that a clock would show.
  return { largestMs, tokensPerSecond: (cells / Math.max(largestMs, 0.001)) * 1000 };
}

async function runGolden(pool: EnginePool, model: VerifiedModel, row: number): Promise<void> {
  const { manifest } = model.folder;
  const variant = manifest.variants[model.variant];
  const golden = manifest.golden[row];
  if (golden === undefined || variant === undefined) return;
  const runs = await runOnAll(pool, model, [goldenEncoding(manifest, golden)]);
  if (pool.spec.kind === 'null') return;
  const problem = (text: string) =>
    new ModelProblem(modelRef(manifest), variant.path, `golden row ${row}: ${text}`);
  const expected = golden.outputs[model.variant];
  if (expected === undefined) throw problem(`model.json has no output of ${model.variant}`);
  for (const run of runs) {
    const [outcome] = run.outcomes;
    const values = outcome?.ok ? outcome.values : new Float32Array();
    const difference = firstDifference(values, expected, variant.tolerance);
    if (difference !== null) throw problem(difference);
  }
}

function firstDifference(
  values: Float32Array,
  expected: readonly number[],
  tolerance: number,
): string | null {
  if (values.length !== expected.length) {
    return `has ${values.length} numbers, expected ${expected.length}`;
  }
  for (const [i, value] of values.entries()) {
    const wanted = expected[i] ?? Number.NaN;
    if (Math.abs(value - wanted) <= tolerance) continue;
    return `number ${i} is ${value}, expected ${wanted} ± ${tolerance}`;
  }
  return null;
}

/** One copy for each engine at the same time: an idle pool gives every engine one. */
async function runOnAll(
  pool: EnginePool,
  model: VerifiedModel,
  encodings: Encoding[],
): Promise<BatchOutcome[]> {
  const longest = Math.max(...encodings.map((encoding) => encoding.ids.length));
  const runs = Array.from({ length: pool.engines }, () =>
    pool.run({ encodings, longest }, RUN_DEADLINE_MS),
  );
  const outcomes = await Promise.all(runs);
  const { manifest } = model.folder;
  for (const failed of outcomes.flatMap((outcome) => outcome.outcomes)) {
    if (failed.ok) continue;
    const file = manifest.variants[model.variant]?.path ?? '';
    const shape = `${encodings.length} × ${longest} tokens`;
    throw new ModelProblem(modelRef(manifest), file, `a run of ${shape} ended in ${failed.code}`);
  }
  return outcomes;
}

type GoldenRow = Manifest['golden'][number];

/** Type ids as BERT's template gives them: what follows the first separator is 1. */
function goldenEncoding(manifest: Manifest, golden: GoldenRow): Encoding {
  const ids = Int32Array.from(golden.ids);
  if (golden.text_pair === null || !manifest.inputs.includes('token_type_ids')) {
    return { ids, typeIds: null };
  }
  const separator = golden.ids.indexOf(golden.ids.at(-1) ?? 0);
  return { ids, typeIds: ids.map((_, i) => (i > separator ? 1 : 0)) };
}

/** The ids of the first golden row over and over: which ids they are does not change the time. */
function longRow(manifest: Manifest, tokens: number): Encoding {
  const ids = manifest.golden[0]?.ids ?? [0];
  return {
    ids: Int32Array.from({ length: tokens }, (_, i) => ids[i % ids.length] ?? 0),
    typeIds: null,
  };
}
