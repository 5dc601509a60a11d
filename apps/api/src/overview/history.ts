import type { Keyspace } from '@headrace/shared/queues.ts';
import type { Redis } from 'ioredis';
import { type OverviewSample, OverviewSampleSchema } from './sample.ts';

const KEPT_S = 15 * 60;
/** Who reads within this time is given what the one before has read. */
const SHARED_MS = 1_000;

interface HistoryDeps {
  redis: Redis;
  keys: Keyspace;
  stepS: number;
}

/**
 * The steps of the last quarter of an hour, in Redis: every API process tells the same, also one
 * that has just started. Of processes that write the same step, the first one counts.
 */
export function createHistory({ redis, keys, stepS }: HistoryDeps) {
  let shared: { atMs: number; read: Promise<OverviewSample[]> } | null = null;

  /** Drops what a pause has left behind on the way. */
  async function readAll(nowMs: number): Promise<OverviewSample[]> {
    const oldest = nowMs / 1000 - KEPT_S;
    const fields = Object.entries(await redis.hgetall(keys.overview));
    const gone = fields.map(([at]) => at).filter((at) => !(Number(at) >= oldest));
    if (gone.length > 0) await redis.hdel(keys.overview, ...gone);
    return fields
      .filter(([at]) => Number(at) >= oldest)
      .sort(([a], [b]) => Number(a) - Number(b))
      .flatMap(([, json]) => parseSample(json));
  }

  return {
    async add(point: OverviewSample): Promise<void> {
      if ((await redis.hsetnx(keys.overview, `${point.at}`, JSON.stringify(point))) === 0) return;
      shared = null;
      await redis.hdel(keys.overview, `${point.at - KEPT_S}`);
      await redis.expire(keys.overview, KEPT_S + stepS);
      // Steps that nobody wrote have not taken away those of a quarter of an hour before.
      if (point.at % KEPT_S === 0) await readAll(point.at * 1000);
    },

    /** Oldest first. */
    read(nowMs: number): Promise<OverviewSample[]> {
      if (shared !== null && nowMs - shared.atMs < SHARED_MS) return shared.read;
      const read = readAll(nowMs);
      const mine = { atMs: nowMs, read };
      shared = mine;
      read.catch(() => {
        if (shared === mine) shared = null;
      });
      return read;
    },
  };
}

/** Nothing, where an older or newer Headrace has written something else. */
function parseSample(json: string): OverviewSample[] {
  try {
    return [OverviewSampleSchema.parse(JSON.parse(json))];
  } catch {
    return [];
  }
}
