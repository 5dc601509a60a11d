import type { Metrics } from '@headrace/shared/metrics.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import type { Redis } from 'ioredis';
import { z } from 'zod';

const ReportSchema = z.object({ at_ms: z.number(), errors: z.record(z.string(), z.number()) });

/** A report is written anew at least this often; one that is three times as old is dropped. */
const WRITE_EVERY_MS = 5_000;
const REPORT_TTL_MS = 15_000;

interface ErrorCountsDeps {
  redis: Redis;
  keys: Keyspace;
  metrics: Metrics;
  /** Of this process. */
  id: string;
}

/**
 * The errors that all API processes have answered since each started, by code. Every process tells
 * the others of its own; they are counted where errors are rendered, once.
 */
export function createErrorCounts({ redis, keys, metrics, id }: ErrorCountsDeps) {
  let written = '';
  let writtenMs = 0;

  async function own(): Promise<Record<string, number>> {
    const { values } = await metrics.counters.errors.get();
    return Object.fromEntries(values.map(({ labels, value }) => [String(labels.code), value]));
  }

  return {
    /** @returns process → its counts */
    async read(nowMs: number): Promise<Map<string, Record<string, number>>> {
      const errors = await own();
      const json = JSON.stringify(errors);
      if (json !== written || nowMs - writtenMs >= WRITE_EVERY_MS) {
        await redis.hset(keys.apis, id, JSON.stringify({ at_ms: nowMs, errors }));
        written = json;
        writtenMs = nowMs;
      }
      return readReports({ redis, keys }, nowMs);
    },
    forget: () => redis.hdel(keys.apis, id),
  };
}

async function readReports(
  { redis, keys }: Pick<ErrorCountsDeps, 'redis' | 'keys'>,
  nowMs: number,
): Promise<Map<string, Record<string, number>>> {
  const live = new Map<string, Record<string, number>>();
  const gone: string[] = [];
  for (const [process, json] of Object.entries(await redis.hgetall(keys.apis))) {
    const report = ReportSchema.safeParse(parseJson(json));
    if (report.success && nowMs - report.data.at_ms < REPORT_TTL_MS) {
      live.set(process, report.data.errors);
    } else gone.push(process);
  }
  if (gone.length > 0) await redis.hdel(keys.apis, ...gone);
  return live;
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

interface Noted {
  atMs: number;
  counts: Map<string, Record<string, number>>;
}

/** How many errors there were in the last seconds. */
export class ErrorWindow {
  readonly #longestMs: number;
  #noted: Noted[] = [];

  /** @param longestMs the longest time that will be asked for */
  constructor(longestMs: number) {
    this.#longestMs = longestMs;
  }

  note(counts: Map<string, Record<string, number>>, atMs: number): void {
    this.#noted.push({ atMs, counts });
    const base = this.#noted.findLastIndex((noted) => noted.atMs <= atMs - this.#longestMs);
    this.#noted.splice(0, Math.max(0, base));
  }

  /** @returns code → number */
  over(windowMs: number): Map<string, number> {
    const last = this.#noted.at(-1);
    const since = (last?.atMs ?? 0) - windowMs;
    const first = this.#noted.findLast(({ atMs }) => atMs <= since) ?? this.#noted[0];
    const sums = new Map<string, number>();
    for (const [process, counts] of last?.counts ?? []) {
      const before = first?.counts.get(process);
      // What a process did before it was first seen is not of the last seconds.
      if (before === undefined) continue;
      for (const [code, count] of Object.entries(counts)) {
        const added = count - (before[code] ?? 0);
        if (added > 0) sums.set(code, (sums.get(code) ?? 0) + added);
      }
    }
    return sums;
  }
}
