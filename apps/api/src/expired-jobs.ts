import type { Keyspace } from '@headrace/shared/queues.ts';
import { defineScript } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { z } from 'zod';

interface ExpiredJobsDeps {
  redis: Redis;
  keys: Keyspace;
  queues: string[];
  /** Gives a job that is due its terminal state. */
  expire: (id: string) => Promise<void>;
  now?: () => number;
}

const JOBS_A_SLICE = 200;
const SLICES_A_STEP = 50;
/** One of all API processes looks at a time. */
const TURN_MS = 4_000;
const Reply = z.tuple([z.number()]).rest(z.string());

/**
 * Has jobs expire that wait past their `ttl_s` though no worker takes them and nobody asks for
 * them, so that their texts do not outlive their time. One call looks at 10,000 jobs of a queue;
 * the next one goes on from there.
 * @returns how many jobs have expired
 */
export function createExpiredJobs(deps: ExpiredJobsDeps): () => Promise<number> {
  const { redis, keys, now = Date.now } = deps;
  const find = defineScript(redis, 'find-expired');
  const nextRank = new Map<string, number>();

  async function look(queue: string): Promise<number> {
    let rank = nextRank.get(queue) ?? 0;
    let expired = 0;
    for (let slice = 0; slice < SLICES_A_STEP; slice++) {
      const args = [1, keys.bull(queue, 'prioritized'), keys.bull(queue, ''), rank, JOBS_A_SLICE];
      const [seen, ...due] = Reply.parse(await find([...args, now()]));
      for (const id of due) await deps.expire(id);
      expired += due.length;
      if (seen < JOBS_A_SLICE) {
        rank = 0;
        break;
      }
      // Those behind have moved up by as many as went.
      rank += seen - due.length;
    }
    nextRank.set(queue, rank);
    return expired;
  }

  return async () => {
    if ((await redis.set(keys.expiryTurn, 1, 'PX', TURN_MS, 'NX')) === null) return 0;
    let expired = 0;
    for (const queue of deps.queues) expired += await look(queue);
    return expired;
  };
}
