import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { type ModelFolder, modelRef } from '@headrace/shared/manifests.ts';
import {
  type ApiProcess,
  type ServiceProcess,
  startApi,
  startDispatcher,
  startWorker,
} from '../tests/helpers/processes.ts';
import { startRedis, type TestRedis, testPrefix } from '../tests/helpers/redis.ts';
import { childPids, machineCpuMs, mainThreadCpuMs, processCpuMs } from './cpu-time.ts';
import { untilSuccess } from './until-success.ts';

/** Processor time so far, in milliseconds. */
export interface CpuTimes {
  client: number;
  api: number;
  /** The worker's main thread: fetching, batching, storing. */
  supervisor: number;
  /** Its other threads: tokenizers, and the runtime's own. */
  tokenizers: number;
  redis: number;
  engines: number;
  /** Everything on the machine, strangers included. */
  machine: number;
}

/** Where the services of one measurement meet. */
export interface ServiceEnv {
  REDIS_URL: string;
  HEADRACE_PREFIX: string;
  /** A scratch folder, removed in the end. */
  HEADRACE_BLOBS: string;
}

/** Redis, API and worker of one model, as they run in service. */
export interface System {
  env: ServiceEnv;
  apiUrl: string;
  pids: { api: number; worker: number; redis: number; engines: number[] };
  cpuTimes(): CpuTimes;
  /** Cells of all tensor batches so far, from the worker's metrics. */
  cells(): Promise<{ real: number; padded: number }>;
  /** Runs of tensor batches so far, those of interactive jobs apart, from the worker's metrics. */
  runs(): Promise<{ all: RunTotals; interactive: RunTotals }>;
}

export interface RunTotals {
  count: number;
  seconds: number;
}

/** @param settings of the worker, or its engine, with all others as they are by default */
export async function startSystem(
  { manifest }: ModelFolder,
  settings: 'onnx' | 'null' | Record<string, string>,
  lifecycle: Lifecycle,
): Promise<System> {
  const { redis, env } = await startBenchRedis(lifecycle);
  const model = modelRef(manifest);
  const own = typeof settings === 'string' ? { HEADRACE_ENGINE: settings } : settings;
  const worker = await startWorker({
    env: { ...own, ...env, HEADRACE_MODELS: model, HEADRACE_PROBES_PORT: '0' },
  });
  lifecycle.push('worker', worker.stop);
  const api = await startBenchApi(env, model, lifecycle);
  const probes = worker.logs.find(({ event }) => event === 'worker.listening');
  const metricsUrl = `http://127.0.0.1:${probes?.port}/metrics`;
  const engines = childPids(worker.pid);
  return {
    env,
    apiUrl: api.url,
    pids: { api: api.pid, worker: worker.pid, redis: redis.pid, engines },
    cells: () => readCells(metricsUrl),
    runs: () => readRuns(metricsUrl),
    cpuTimes() {
      const { user, system } = process.cpuUsage();
      const supervisor = mainThreadCpuMs(worker.pid);
      return {
        client: (user + system) / 1000,
        api: processCpuMs(api.pid),
        supervisor,
        tokenizers: processCpuMs(worker.pid) - supervisor,
        redis: processCpuMs(redis.pid),
        engines: engines.reduce((total, pid) => total + processCpuMs(pid), 0),
        machine: machineCpuMs(),
      };
    },
  };
}

/** Beside a system: plans and assembles its batches. */
export async function startBenchDispatcher(
  env: ServiceEnv,
  lifecycle: Lifecycle,
): Promise<ServiceProcess> {
  const dispatcher = await startDispatcher({ env: { ...env } });
  lifecycle.push('dispatcher', dispatcher.stop);
  return dispatcher;
}

/** Redis as `npm start` runs it: an append-only file, synced every second. */
export async function startBenchRedis(
  lifecycle: Lifecycle,
): Promise<{ redis: TestRedis; env: ServiceEnv }> {
  const redis = await startRedis({ appendonly: true });
  lifecycle.push('redis', redis.stop);
  const folder = mkdtempSync(join(tmpdir(), 'headrace-bench-'));
  lifecycle.push('files', () => rmSync(folder, { recursive: true, force: true }));
  const env = { REDIS_URL: redis.url, HEADRACE_PREFIX: testPrefix(), HEADRACE_BLOBS: folder };
  return { redis, env };
}

/** The real API in a process of its own; it takes jobs, with or without a worker. */
export async function startBenchApi(
  env: ServiceEnv,
  defaultModel: string,
  lifecycle: Lifecycle,
): Promise<ApiProcess> {
  const settings = { HEADRACE_DEFAULT_MODEL: defaultModel, HEADRACE_READY_NEEDS_WORKER: 'off' };
  const api = await startApi({ env: { ...env, ...settings } });
  lifecycle.push('api', api.stop);
  await untilSuccess(async () => {
    const answer = await fetch(`${api.url}/ready`);
    if (!answer.ok) throw new Error(`/ready answers ${answer.status}: ${await answer.text()}`);
  });
  return api;
}

async function readCells(url: string): Promise<{ real: number; padded: number }> {
  const read = await readMetrics(url);
  const count = (kind: string) => read(`headrace_cells_total{.*kind="${kind}".*}`);
  return { real: count('real'), padded: count('padded') };
}

async function readRuns(url: string): Promise<{ all: RunTotals; interactive: RunTotals }> {
  const read = await readMetrics(url);
  const totals = (name: string): RunTotals => ({
    count: read(`headrace_${name}_count(?:{.*})?`),
    seconds: read(`headrace_${name}_sum(?:{.*})?`),
  });
  return { all: totals('batch_infer_seconds'), interactive: totals('job_infer_seconds') };
}

/** @returns the value of the line that begins with a pattern; 0 where there is none */
async function readMetrics(url: string): Promise<(pattern: string) => number> {
  const text = await (await fetch(url)).text();
  return (pattern) => Number(new RegExp(`^${pattern} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
}
