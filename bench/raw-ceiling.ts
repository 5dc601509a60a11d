import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import type { ModelFolder } from '@headrace/shared/manifests.ts';
import { cpu } from '../apps/worker/src/inference/providers/cpu.ts';
import type { Provider } from '../apps/worker/src/inference/providers/provider.ts';
import { startBenchProcess } from './bench-process.ts';
import type { RawBatch, RawPass, ToRawEngine } from './raw-protocol.ts';
import { median, sum } from './statistics.ts';

export interface RawDevice {
  provider: Provider;
  /** Processes, each with a session of its own. */
  engines: number;
  /** Most padded cells of one run that are tried; the best of them is the ceiling. */
  budgets: readonly number[];
}

const ALL_CORES: RawDevice = {
  provider: cpu,
  engines: availableParallelism(),
  budgets: [256, 512, 1_024],
};

export interface RawRound {
  documentsPerS: number;
  /** Processor time of the engines for one document. */
  cpuMsPerDocument: number;
}

export interface RawCeiling {
  readonly budgets: readonly number[];
  /** All rows once, sorted by length, in runs of at most `budget` padded cells. */
  measure(rows: readonly Int32Array[], budget: number): Promise<RawRound>;
}

/**
 * ONNX Runtime alone with the file and the session options of the worker: one process with one
 * thread a core, texts tokenized and tensors filled before the clock starts.
 */
export async function startRawCeiling(
  { manifest, dir }: ModelFolder,
  lifecycle: Lifecycle,
  { provider, engines: count, budgets }: RawDevice = ALL_CORES,
): Promise<RawCeiling> {
  const variant = manifest.variants[manifest.default_variant];
  if (variant === undefined) throw new Error(`${manifest.name} has no default variant`);
  const load: ToRawEngine = {
    type: 'load',
    setup: {
      modelPath: join(dir, variant.path),
      sessionOptions: provider.sessionOptions({ threads: 1, deviceId: 0 }),
      environment: provider.environment,
      inputs: manifest.inputs,
      output: manifest.output,
    },
  };
  const engines = Array.from({ length: count }, () => startBenchProcess('raw-engine', lifecycle));
  const tellAll = (message: ToRawEngine) => {
    for (const engine of engines) engine.send(message);
  };
  const hearAll = () => Promise.all(engines.map((engine) => engine.next()));
  tellAll(load);
  await hearAll();

  return {
    budgets,
    async measure(rows, budget) {
      const hands = deal(formBatches(rows, budget), engines.length);
      for (const [i, engine] of engines.entries()) {
        engine.send({ type: 'run', batches: hands[i] ?? [] } satisfies ToRawEngine);
      }
      const passes = (await hearAll()).filter(isPass);
      tellAll({ type: 'stop' });
      await hearAll();
      const counts = hands.map((batches) => sum(batches.map((batch) => batch.rows.length)));
      return {
        documentsPerS: sum(passes.map(({ ms }, i) => ((counts[i] ?? 0) / ms) * 1000)),
        cpuMsPerDocument: sum(passes.map(({ cpuMs }) => cpuMs)) / rows.length,
      };
    },
  };
}

/** The budget with which `rows` run fastest. */
export async function bestBudget(
  raw: RawCeiling,
  rows: readonly Int32Array[],
  rounds: number,
): Promise<number> {
  const speeds = new Map(raw.budgets.map((budget) => [budget, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [budget, of] of speeds) of.push((await raw.measure(rows, budget)).documentsPerS);
  }
  const [best] = [...speeds].sort((a, b) => median(b[1]) - median(a[1]));
  return best?.[0] ?? Number.NaN;
}

/** Neighbours in length together, as many as fit. */
function formBatches(rows: readonly Int32Array[], budget: number): RawBatch[] {
  const sorted = rows.toSorted((a, b) => b.length - a.length);
  const batches: RawBatch[] = [];
  for (let at = 0; at < sorted.length; ) {
    const longest = sorted[at]?.length ?? 0;
    const taken = sorted.slice(at, at + Math.max(1, Math.floor(budget / longest)));
    batches.push({ rows: taken, longest });
    at += taken.length;
  }
  return batches;
}

/** Every engine gets short and long batches alike. */
function deal(batches: readonly RawBatch[], engines: number): RawBatch[][] {
  return Array.from({ length: engines }, (_, engine) =>
    batches.filter((_, i) => i % engines === engine),
  );
}

function isPass(message: unknown): message is RawPass {
  return typeof message === 'object' && message !== null && 'ms' in message;
}
