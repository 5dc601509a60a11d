import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { createKeyspace } from '@headrace/shared/queues.ts';
import { type JobsOptions, Queue } from 'bullmq';
import { Redis } from 'ioredis';
import type { ServiceEnv } from './system.ts';

/** Calls or requests under way at a time, wherever submission is measured. */
export const ADDS_IN_FLIGHT = 64;

/** What Headrace needs of BullMQ in any case: an id of its own, and a place in the order. */
export function bareJobOptions(id: string): JobsOptions {
  return { jobId: id, priority: 1 };
}

/** A queue on a connection of its own. */
export interface BareQueue {
  queue: Queue;
  /** Takes all jobs out that wait, and forgets who submitted them. */
  empty(): Promise<void>;
}

/** BullMQ as it comes, with the prefix of `env`. */
export function openBareQueue(name: string, env: ServiceEnv, lifecycle: Lifecycle): BareQueue {
  const connection = openConnection(env.REDIS_URL);
  lifecycle.push('connection', () => connection.disconnect());
  const queue = new Queue(name, { connection, prefix: env.HEADRACE_PREFIX });
  lifecycle.push('queue', () => queue.close());
  const keys = createKeyspace(env.HEADRACE_PREFIX);
  return {
    queue,
    async empty() {
      await queue.drain();
      await connection.del(keys.index('default'), keys.order(name));
    },
  };
}

/** A connection as BullMQ's documentation opens it, with nothing of ours. */
export function openConnection(url: string): Redis {
  const options = { maxRetriesPerRequest: null };
  if (!url.startsWith('unix://')) return new Redis(url, options);
  return new Redis({ ...options, path: url.slice('unix://'.length) });
}
