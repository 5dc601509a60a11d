import { costOf, MAX_PRIORITY } from '@headrace/shared/fair-order.ts';
import {
  bulkQueueName,
  type Keyspace,
  PRIORITIES,
  type Priority,
} from '@headrace/shared/queues.ts';
import { defineScript } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { z } from 'zod';

/** Whose chunks these are. */
interface ChunkFlow {
  /** `name@version`: each has a queue. */
  model: string;
  tenant: string;
  priority: Priority;
  /** The tenant's share of the work. */
  weight: number;
}

/** @param rows of each chunk. @returns BullMQ's priorities, the lower one goes first */
export type PlaceChunks = (flow: ChunkFlow, rows: number[]) => Promise<number[]>;

/**
 * So many rows of normal priority have one place, but for their class: the more, the longer a queue
 * that is never empty takes to come to the last place; the fewer, the finer tenants take turns.
 */
const ROWS_A_STEP = 1_024;

const Priorities = z.array(z.int());

/**
 * Places in the order of work for chunks, as interactive jobs have them (`fair-order.ts`): a tenant's
 * flood waits behind its own work only, and the lowest class goes on.
 */
export function createPlaceChunks(redis: Redis, keys: Keyspace): PlaceChunks {
  const place = defineScript(redis, 'place-chunks');
  return async ({ model, tenant, priority, weight }, rows) => {
    const queue = bulkQueueName(model);
    const bull = (suffix: string) => keys.bull(queue, suffix);
    const state = [keys.order(queue), ...['wait', 'prioritized', 'active', 'delayed'].map(bull)];
    const classes = [PRIORITIES.indexOf(priority), PRIORITIES.length, ROWS_A_STEP, MAX_PRIORITY];
    const costs = rows.map((count) => costOf(count, priority, weight).toFixed(6));
    const args = [state.length, ...state, `${tenant}:${priority}`, ...classes, ...costs];
    return Priorities.parse(await place(args));
  };
}
