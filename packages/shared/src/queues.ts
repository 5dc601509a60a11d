import { z } from 'zod';
import { isJobId } from './ids.ts';

/** The queue of interactive jobs of one model version, such as `infer.sentiment@1`. */
export function inferQueueName(model: string): string {
  return `infer.${model}`;
}

/** Every Redis key and channel that Headrace itself owns; BullMQ's keys stand beside them. */
export function createKeyspace(prefix: string) {
  return {
    prefix,
    /** The finished record of a job, one JSON value with its own TTL. */
    job: (id: string) => `${prefix}:job:${id}`,
    /** Sorted set of a tenant's job ids, all with score 0, so that ids order it. */
    index: (tenant: string) => `${prefix}:jobs:${tenant}`,
    /** Hash with the virtual time, the flows' finish tags and the backlog of one queue. */
    order: (queue: string) => `${prefix}:order:${queue}`,
    /** A key of BullMQ's own. */
    bull: (queue: string, suffix: string) => `${prefix}:${queue}:${suffix}`,
    /** Hash of worker id → WorkerReport. */
    workers: `${prefix}:workers`,
    finishedChannel: `${prefix}:finished`,
    startedChannel: `${prefix}:started`,
    cancelChannel: `${prefix}:cancel`,
  };
}
export type Keyspace = ReturnType<typeof createKeyspace>;

const RowInput = z.strictObject({ text: z.string(), text_pair: z.string().nullable() });
export type RowInput = z.infer<typeof RowInput>;

export const PRIORITIES = ['high', 'normal', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

/**
 * What a job of an `infer.<model>` queue carries. `v` changes when an older worker could misread a
 * payload; a worker refuses versions it does not know.
 */
export const JobPayloadSchema = z.strictObject({
  v: z.literal(1),
  tenant: z.string(),
  model: z.string(),
  rows: z.array(RowInput).min(1),
  parameters: z.record(z.string(), z.unknown()),
  priority: z.enum(PRIORITIES),
  ttl_s: z.number(),
  timeout_s: z.number(),
  metadata: z.record(z.string(), z.string()),
  created_ms: z.number(),
  /** Estimated at submission, so that the backlog can be counted before anything is tokenized. */
  tokens: z.number(),
  retry_of: z.string().refine(isJobId).nullable(),
});
export type JobPayload = z.infer<typeof JobPayloadSchema>;

/** BullMQ's settings of the interactive queues; one place, used by API and workers. */
export const INTERACTIVE = {
  lockDurationMs: 15_000,
  /**
   * A dead worker's jobs wait for the end of their lock and the next check, at worst two intervals
   * later when it was the dead one whose checks came first: 15 s + 2 × 2 s, below 20 s.
   */
  stalledIntervalMs: 2_000,
  /** High on purpose: our own attempt limit decides, not a failover that stalls everything once. */
  maxStalledCount: 1_000_000,
  /** Tries after a retryable failure; a stalled job is not a try. */
  attempts: 3,
  backoffMs: 1_000,
  maxEvents: 1_000,
} as const;
