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
/** Of payloads in one slice, which Redis reads while it does nothing else. */
const BYTES_A_SLICE = 1_048_576;
const LEAST_JOBS_A_STEP = 10_000;
/** With a step each 5 s the whole queue is looked at within a minute, however long it is. */
const STEPS_A_QUEUE = 10;
/** One of all API processes looks at a time. */
const TURN_MS = 4_000;
/** Where a look at each set has come to stands in a field of the order hash. */
const LOOKED = { prioritized: 'looked', delayed: 'looked_delayed' } as const;
const Reply = z.tuple([z.number(), z.number(), z.number()]).rest(z.string());

/**
 * Has jobs expire that wait past their `ttl_s` though no worker takes them and nobody asks for
 * them, so that their texts do not outlive their time. One call looks at a tenth of each queue; the
 * next one, of whatever process, goes on from there.
 * @returns how many jobs have expired
 */
export function createExpiredJobs(deps: ExpiredJobsDeps): () => Promise<number> {
  const { redis, keys, now = Date.now } = deps;
  const find = defineScript(redis, 'find-expired');

  async function look(queue: string, set: keyof typeof LOOKED): Promise<number> {
    const own = [keys.bull(queue, set), keys.order(queue), keys.bull(queue, '')];
    let looked = 0;
    let expired = 0;
    for (;;) {
      const reply = await find([2, ...own, JOBS_A_SLICE, BYTES_A_SLICE, now(), LOOKED[set]]);
      const [ended, seen, waiting, ...due] = Reply.parse(reply);
      for (const id of due) await deps.expire(id);
      expired += due.length;
      looked += seen;
      const enough = looked >= Math.max(LEAST_JOBS_A_STEP, waiting / STEPS_A_QUEUE);
      if (ended === 1 || enough) return expired;
    }
  }

  return async () => {
    if ((await redis.set(keys.expiryTurn, 1, 'PX', TURN_MS, 'NX')) === null) return 0;
    let expired = 0;
    for (const queue of deps.queues) {
      expired += await look(queue, 'prioritized');
      expired += await look(queue, 'delayed');
    }
    return expired;
  };
}
