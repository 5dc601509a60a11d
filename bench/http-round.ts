import { availableParallelism } from 'node:os';
import type { Document } from './documents.ts';
import { type HttpLoad, loadWindow } from './http-load.ts';
import { mean, sum } from './statistics.ts';
import type { CpuTimes, System } from './system.ts';

/** What the benchmark starts, and itself. */
export const CPU_PARTS = [
  'client',
  'api',
  'supervisor',
  'tokenizers',
  'redis',
  'engines',
] as const satisfies (keyof CpuTimes)[];

/** Jobs in flight: more than a worker holds, with its defaults, so that some always wait. */
const IN_FLIGHT = 256;
/** So many documents of the warm-up. */
const SHORTEST = 300;

export interface HttpRound {
  documentsPerS: number;
  /** Answers, whatever their length. */
  jobsPerS: number;
  paddingRatio: number;
  /** Processor time for one job. */
  cpuMs: CpuTimes;
  /** Share of the machine's processor time that went to none of ours. */
  strangers: number;
}

interface HttpTask {
  model: string;
  documents: readonly Document[];
  parameters: Record<string, unknown>;
  warmUpMs: number;
  windowMs: number;
}

/**
 * Runs short documents at full load until compilers and caches have settled, as they have in a
 * service that has been up for a minute.
 */
export async function warmUp(
  system: System,
  task: Pick<HttpTask, 'model' | 'documents'> & { ms: number },
): Promise<void> {
  const documents = task.documents.toSorted((a, b) => a.tokens - b.tokens).slice(0, SHORTEST);
  const { model, ms } = task;
  await measureHttp(system, {
    model,
    documents,
    parameters: {},
    warmUpMs: ms / 2,
    windowMs: ms / 2,
  });
}

/**
 * A document counts by its tokens over the mean, since the documents of a window are not exactly
 * the mix that the raw side runs.
 */
export async function measureHttp(system: System, task: HttpTask): Promise<HttpRound> {
  const { model, documents, parameters, warmUpMs, windowMs } = task;
  const meanTokens = mean(documents.map((document) => document.tokens));
  let tokens = 0;
  const load: HttpLoad = {
    origin: system.apiUrl,
    path: '/v1/jobs',
    headers: { prefer: 'wait=60' },
    bodies: documents.map(({ text }) => JSON.stringify({ model, input: text, parameters })),
    inFlight: IN_FLIGHT,
    expect: { status: 200, text: '"status":"succeeded"' },
    warmUpMs,
    windowMs,
    onFinished: (index) => {
      tokens += documents[index]?.tokens ?? 0;
    },
  };
  const { finished, before, after, ...window } = await loadWindow(load, async () => ({
    cpu: system.cpuTimes(),
    cells: await system.cells(),
  }));
  const real = after.cells.real - before.cells.real;
  const padded = after.cells.padded - before.cells.padded;
  const spent = mapCpu((part) => after.cpu[part] - before.cpu[part]);
  const ours = sum(CPU_PARTS.map((part) => spent[part]));
  return {
    documentsPerS: (tokens / meanTokens / window.windowMs) * 1000,
    jobsPerS: (finished / window.windowMs) * 1000,
    paddingRatio: padded / (real + padded),
    cpuMs: mapCpu((part) => spent[part] / finished),
    strangers: Math.max(0, spent.machine - ours) / (window.windowMs * availableParallelism()),
  };
}

function mapCpu(make: (part: keyof CpuTimes) => number): CpuTimes {
  return {
    client: make('client'),
    api: make('api'),
    supervisor: make('supervisor'),
    tokenizers: make('tokenizers'),
    redis: make('redis'),
    engines: make('engines'),
    machine: make('machine'),
  };
}
