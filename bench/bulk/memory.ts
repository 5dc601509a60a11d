import { readFileSync } from 'node:fs';
import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { openConnection } from '../bare-queue.ts';
import { median } from '../statistics.ts';
import type { System } from '../system.ts';

export const PROCESSES = ['api', 'dispatcher', 'worker', 'engines', 'redis'] as const;
export type ProcessName = (typeof PROCESSES)[number];

/** What everything takes at one moment, in bytes. */
export interface MemorySample {
  /** Of `performance.now()`. */
  atMs: number;
  /** Resident; of the engines the largest. */
  rss: Record<ProcessName, number>;
  /** What Redis says that it uses, and the part of it that is data. */
  redisUsed: number;
}

export interface MemorySampler {
  samples: MemorySample[];
  /** Medians of some seconds in which nothing happens. */
  idle(): Promise<MemorySample>;
}

const EVERY_MS = 500;
const IDLE_SAMPLES = 7;

/** Looks at the processes of a system twice a second until the end of `lifecycle`. */
export function sampleMemory(
  { env, pids }: System,
  dispatcher: number,
  lifecycle: Lifecycle,
): MemorySampler {
  const connection = openConnection(env.REDIS_URL);
  lifecycle.push('connection', () => connection.disconnect());
  const samples: MemorySample[] = [];
  let taken = Promise.withResolvers<void>();
  const take = async () => {
    const info = await connection.info('memory');
    const rss = {
      api: rssOf(pids.api),
      dispatcher: rssOf(dispatcher),
      worker: rssOf(pids.worker),
      engines: Math.max(...pids.engines.map(rssOf)),
      redis: rssOf(pids.redis),
    };
    const redisUsed = Number(/^used_memory:(\d+)/m.exec(info)?.[1] ?? 0);
    samples.push({ atMs: performance.now(), rss, redisUsed });
    taken.resolve();
    taken = Promise.withResolvers();
  };
  const timer = setInterval(() => void take(), EVERY_MS);
  lifecycle.push('samples', () => clearInterval(timer));
  return {
    samples,
    async idle() {
      const from = samples.length;
      while (samples.length < from + IDLE_SAMPLES) await taken.promise;
      return medians(samples.slice(from));
    },
  };
}

function medians(samples: readonly MemorySample[]): MemorySample {
  const of = (pick: (sample: MemorySample) => number) => median(samples.map(pick));
  const rss = (name: ProcessName) => of((sample) => sample.rss[name]);
  return {
    atMs: of(({ atMs }) => atMs),
    rss: {
      api: rss('api'),
      dispatcher: rss('dispatcher'),
      worker: rss('worker'),
      engines: rss('engines'),
      redis: rss('redis'),
    },
    redisUsed: of(({ redisUsed }) => redisUsed),
  };
}

function rssOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}
