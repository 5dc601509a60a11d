import type { Priority } from './queues.ts';

// Every job has its place in the queue by start-time fair queuing over flows of (tenant, priority
// class), after Goyal, Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996. Its BullMQ priority
// is its virtual start time, in whole units of 64 rows; `enqueue-jobs.lua` computes it.

/** Weights of the priority classes; a normal row costs one unit of virtual time. */
const CLASS_WEIGHTS: Record<Priority, number> = { high: 100, normal: 10, low: 1 };
export const ROWS_A_PRIORITY = 64;
/** BullMQ's largest priority: beyond it the queue is plain FIFO. */
export const MAX_PRIORITY = 2_097_151;

/** By how much virtual time a job moves its flow on, in rows of normal priority. */
export function costOf(rows: number, priority: Priority): number {
  return (rows * CLASS_WEIGHTS.normal) / CLASS_WEIGHTS[priority];
}

/** The least start time that a BullMQ priority stands for, in rows of normal priority. */
export function startTimeOf(priority: number): number {
  return Math.max(0, priority - 1) * ROWS_A_PRIORITY;
}
