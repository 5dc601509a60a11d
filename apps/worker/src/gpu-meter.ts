import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { startInterval } from '@headrace/shared/interval.ts';
import { createThrottle, type Logger } from '@headrace/shared/logger.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';

interface GpuMeterDeps {
  metrics: Metrics;
  log: Logger;
  /** NVIDIA's own, which comes with the driver. */
  program?: string;
  /** How long it may take; a driver in trouble may never answer. */
  timeoutMs?: number;
  /** Ends a measurement that runs. */
  signal?: AbortSignal;
}

/** One GPU, as `nvidia-smi` knows it; null: it does not say. */
export interface GpuReading {
  gpu: string;
  uuid: string;
  utilization: number | null;
  usedBytes: number | null;
  totalBytes: number | null;
}

const EVERY_MS = 15_000;
const TIMEOUT_MS = 5_000;
const QUERY = [
  '--query-gpu=index,uuid,utilization.gpu,memory.used,memory.total',
  '--format=csv,noheader,nounits',
];
const MAX_OUTPUT_BYTES = 65_536;
const MIB = 2 ** 20;
/** There is no such program, or none that could be run: that will not change. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'ENOEXEC']);
const run = promisify(execFile);

/** Measures the GPUs that are seen now and again. @returns how to stop */
export function startGpuMeter(deps: Pick<GpuMeterDeps, 'metrics' | 'log'>): () => Promise<void> {
  const throttle = createThrottle(3_600_000);
  const onError = (err: unknown) =>
    throttle('gpu', () => deps.log.warn({ event: 'gpu.unknown', err }, 'GPUs cannot be measured'));
  const ending = new AbortController();
  const { signal } = ending;
  const stop = startInterval(EVERY_MS, createGpuTick({ ...deps, signal }), onError);
  return () => {
    ending.abort();
    return stop();
  };
}

/**
 * One measurement. Where there is no such program, nothing is done from the second call on.
 * @throws Error when it fails; the gauges are empty then
 */
export function createGpuTick(deps: GpuMeterDeps): () => Promise<void> {
  const { metrics, program = 'nvidia-smi', timeoutMs = TIMEOUT_MS, signal } = deps;
  let absent = false;
  return async () => {
    if (absent) return;
    try {
      const { stdout } = await run(program, QUERY, {
        ...{ timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES, signal },
      });
      setGauges(metrics, parseGpus(stdout));
    } catch (error) {
      if (signal?.aborted) return;
      setGauges(metrics, []);
      absent = error instanceof Error && 'code' in error && ABSENT.has(String(error.code));
      if (!absent) throw error;
    }
  };
}

/** The lines of the program; a number that a GPU does not support is a word in brackets. */
export function parseGpus(csv: string): GpuReading[] {
  return csv.split('\n').flatMap((line) => {
    const [gpu = '', uuid = '', ...numbers] = line.split(',').map((field) => field.trim());
    if (!/^\d+$/.test(gpu) || !/^[\w-]{1,64}$/.test(uuid)) return [];
    const [utilization = null, used = null, total = null] = numbers.map(numberOf);
    return [
      {
        ...{ gpu, uuid, utilization: scaled(utilization, 1 / 100) },
        ...{ usedBytes: scaled(used, MIB), totalBytes: scaled(total, MIB) },
      },
    ];
  });
}

function numberOf(field: string): number | null {
  return /^\d+(\.\d+)?$/.test(field) ? Number(field) : null;
}

function scaled(value: number | null, unit: number): number | null {
  return value === null ? null : value * unit;
}

/** A GPU that has gone, or does not say any more, is not shown as it was. */
function setGauges({ gauges }: Metrics, gpus: GpuReading[]): void {
  const { gpu_utilization_ratio, gpu_memory_used_bytes, gpu_memory_total_bytes } = gauges;
  for (const gauge of [gpu_utilization_ratio, gpu_memory_used_bytes, gpu_memory_total_bytes]) {
    gauge.reset();
  }
  for (const { gpu, uuid, utilization, usedBytes, totalBytes } of gpus) {
    if (utilization !== null) gpu_utilization_ratio.set({ gpu, uuid }, utilization);
    if (usedBytes !== null) gpu_memory_used_bytes.set({ gpu, uuid }, usedBytes);
    if (totalBytes !== null) gpu_memory_total_bytes.set({ gpu, uuid }, totalBytes);
  }
}
