import type { Keyspace } from '@headrace/shared/queues.ts';
import type { Redis } from 'ioredis';
import { type OverviewSample, OverviewSampleSchema } from './sample.ts';

const KEPT_S = 15 * 60;

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
  const steps = KEPT_S / stepS;
  return {
    async add(point: OverviewSample): Promise<void> {
      const field = `${point.at}`;
      if ((await redis.hsetnx(keys.overview, field, JSON.stringify(point))) === 0) return;
      await redis.hdel(keys.overview, `${point.at - KEPT_S}`);
      await redis.expire(keys.overview, KEPT_S + stepS);
    },

    /** Oldest first. What a pause has left behind is dropped on the way. */
    async read(nowMs: number): Promise<OverviewSample[]> {
      const oldest = nowMs / 1000 - KEPT_S;
      const fields = Object.entries(await redis.hgetall(keys.overview));
      const gone = fields.filter(([at]) => Number(at) < oldest).map(([at]) => at);
      if (gone.length > 0) await redis.hdel(keys.overview, ...gone);
      return fields
        .filter(([at]) => Number(at) >= oldest)
        .sort(([a], [b]) => Number(a) - Number(b))
        .slice(-steps)
        .flatMap(([, json]) => {
          const sample = OverviewSampleSchema.safeParse(JSON.parse(json));
          return sample.success ? [sample.data] : [];
        });
    },
  };
}
