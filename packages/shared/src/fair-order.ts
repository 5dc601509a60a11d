import type { Redis } from 'ioredis';
import type { Keyspace, Priority } from './queues.ts';
import { defineScript } from './redis.ts';
import { createTick } from './tick.ts';

/** Weights of the priority classes; a normal row costs one unit of virtual time. */
const CLASS_WEIGHTS: Record<Priority, number> = { high: 100, normal: 10, low: 1 };
const ROWS_PER_TAG = 64;
/** BullMQ's largest priority: beyond it the queue is plain FIFO. */
const MAX_TAG = 2_097_151;

interface Reservation {
  id: string;
  queue: string;
  tenant: string;
  flow: string;
  cost: number;
  rows: number;
  tokens: number;
  resolve: (startTime: number) => void;
  reject: (error: unknown) => void;
}

interface Work {
  /** The job; it is put into its tenant's list in the same step. */
  id: string;
  queue: string;
  tenant: string;
  priority: Priority;
  rows: number;
  tokens: number;
}

/**
 * Gives every job its place in the queue: start-time fair queuing over flows of (tenant, priority
 * class), after Goyal, Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996.
 * @returns a function that reserves a job's virtual start time, in weighted rows
 */
export function createFairOrder(redis: Redis, keys: Keyspace): (work: Work) => Promise<number> {
  const reserve = defineScript(redis, 'reserve-start');

  const flush = createTick<Reservation>((items) => {
    for (const group of Map.groupBy(items, (item) => `${item.queue}\n${item.flow}`).values()) {
      settle(group);
    }
  });

  async function settle(group: Reservation[]): Promise<void> {
    const [first] = group;
    if (!first) return;
    const bull = (suffix: string) => keys.bull(first.queue, suffix);
    const sum = (pick: (item: Reservation) => number) => group.reduce((a, b) => a + pick(b), 0);
    try {
      const start = await reserve([
        6,
        keys.order(first.queue),
        bull('wait'),
        bull('prioritized'),
        bull('active'),
        bull('delayed'),
        keys.index(first.tenant),
        first.flow,
        sum((item) => item.cost).toFixed(6),
        sum((item) => item.rows),
        sum((item) => item.tokens),
        ...group.map(({ id }) => id),
      ]);
      let at = Number(start);
      for (const item of group) {
        item.resolve(at);
        at += item.cost;
      }
    } catch (error) {
      for (const item of group) item.reject(error);
    }
  }

  return ({ id, queue, tenant, priority, rows, tokens }) =>
    new Promise((resolve, reject) => {
      const cost = (rows * CLASS_WEIGHTS.normal) / CLASS_WEIGHTS[priority];
      const flow = `${tenant}:${priority}`;
      flush({ id, queue, tenant, flow, cost, rows, tokens, resolve, reject });
    });
}

/** A virtual start time as a BullMQ priority, 1 to 2,097,151: whole units of 64 rows. */
export function bullPriority(startTime: number): number {
  return Math.min(MAX_TAG, 1 + Math.floor(startTime / ROWS_PER_TAG));
}

/** The least start time that a BullMQ priority stands for; the inverse of `bullPriority`. */
export function startTimeOf(priority: number): number {
  return Math.max(0, priority - 1) * ROWS_PER_TAG;
}
