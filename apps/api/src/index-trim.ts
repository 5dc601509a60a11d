import { firstJobIdAt } from '@headrace/shared/ids.ts';
import { unwrapPipeline } from '@headrace/shared/job-store.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import type { Redis } from 'ioredis';

interface IndexTrimDeps {
  redis: Redis;
  keys: Keyspace;
  queues: string[];
  /** Whose lists there may be. */
  tenants: () => Promise<string[]>;
  /** Jobs younger than this are left alone: their records cannot have expired yet. */
  minAgeMs: number;
  now?: () => number;
}

const IDS_A_STEP = 500;
const MAX_STEPS = 400;

/**
 * Takes ids out of every tenant's list whose job is gone: neither live nor kept as a record. One
 * call looks at 200,000 ids of a tenant at most, oldest first.
 * @returns how many ids were taken out
 */
export function createIndexTrim(deps: IndexTrimDeps): () => Promise<number> {
  const now = deps.now ?? Date.now;

  async function trim(tenant: string): Promise<number> {
    const index = deps.keys.index(tenant);
    const until = `(${firstJobIdAt(Math.max(0, now() - deps.minAgeMs))}`;
    let from = '-';
    let trimmed = 0;
    for (let step = 0; step < MAX_STEPS; step++) {
      const ids = await deps.redis.zrangebylex(index, from, until, 'LIMIT', 0, IDS_A_STEP);
      const gone = await missing(deps, ids);
      if (gone.length > 0) trimmed += await deps.redis.zrem(index, ...gone);
      if (ids.length < IDS_A_STEP) break;
      from = `(${ids.at(-1)}`;
    }
    return trimmed;
  }

  return async () => {
    let trimmed = 0;
    for (const tenant of await deps.tenants()) trimmed += await trim(tenant);
    return trimmed;
  };
}

async function missing({ redis, keys, queues }: IndexTrimDeps, ids: string[]): Promise<string[]> {
  const pipeline = redis.pipeline();
  for (const id of ids) {
    pipeline.exists(keys.job(id), ...queues.map((queue) => keys.bull(queue, id)));
  }
  const found = unwrapPipeline(await pipeline.exec());
  return ids.filter((_, i) => found[i] === 0);
}
