import type { Priority } from './queues.ts';

// Every job has its place in the queue by start-time fair queuing over flows of (tenant, priority
// class), after Goyal, Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996. Its score in BullMQ's
// sorted set is its virtual start time, exact to a fraction of a row: BullMQ's priority is the upper
// half of a score, and its lower half, where BullMQ counts, holds the rest. `enqueue-jobs.lua`
// computes it.

/** Weights of the priority classes; a normal row costs one unit of virtual time. */
const CLASS_WEIGHTS: Record<Priority, number> = { high: 100, normal: 10, low: 1 };
/** What is left of a score below BullMQ's priority. */
const SCORES_A_PRIORITY = 2 ** 32;
/**
 * So large that a queue that is never empty takes 10^11 rows before all places are the last one,
 * where it is plain FIFO; so small that a score tells a 60,000th of a row.
 */
export const ROWS_A_PRIORITY = 65_536;
/** BullMQ's largest priority. */
export const MAX_PRIORITY = 2_097_151;

/** By how much virtual time a job moves its flow on, in rows of normal priority and weight 1. */
export function costOf(rows: number, priority: Priority, tenantWeight = 1): number {
  return (rows * CLASS_WEIGHTS.normal) / (CLASS_WEIGHTS[priority] * tenantWeight);
}

/** The start time that a score stands for, in rows of normal priority. */
export function startTimeOf(score: number): number {
  return Math.max(0, score / SCORES_A_PRIORITY - 1) * ROWS_A_PRIORITY;
}

/** The least score of a BullMQ priority. */
export function scoreOf(priority: number): number {
  return priority * SCORES_A_PRIORITY;
}
