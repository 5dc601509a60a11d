import { z } from 'zod';
import { isJobId } from './ids.ts';
import { WebhookTargetSchema } from './webhooks/webhook-target.ts';

/** The queue of interactive jobs of one model version, such as `infer.sentiment@1`. */
export function inferQueueName(model: string): string {
  return `infer.${model}`;
}

/** The queue of chunks of one model version, such as `bulk.sentiment@1`. */
export function bulkQueueName(model: string): string {
  return `bulk.${model}`;
}

/** Queues of the dispatcher's own work, one job a batch. */
export const PLAN_QUEUE = 'plan';
export const ASSEMBLE_QUEUE = 'assemble';
/** One job for each delivery that is not settled. */
export const WEBHOOKS_QUEUE = 'webhooks';

/** Every Redis key and channel that Headrace itself owns; BullMQ's keys stand beside them. */
export function createKeyspace(prefix: string) {
  return {
    prefix,
    /** The finished record of a job, one JSON value with its own TTL. */
    job: (id: string) => `${prefix}:job:${id}`,
    /** Sorted set of a tenant's job ids, all with score 0, so that ids order it. */
    index: (tenant: string) => `${prefix}:jobs:${tenant}`,
    /** The record of a file, one JSON value with its own TTL. */
    file: (id: string) => `${prefix}:file:${id}`,
    /** Sorted set of a tenant's file ids, all with score 0, so that ids order it. */
    files: (tenant: string) => `${prefix}:files:${tenant}`,
    /** Sorted set of files, scored by when their content may go. */
    fileExpiry: `${prefix}:file-expiry`,
    /** Hash of a batch: its definition, and what it has come to. */
    batch: (id: string) => `${prefix}:batch:${id}`,
    /** Hash of a batch: index of a chunk that is done → its part. */
    batchChunks: (id: string) => `${prefix}:batch-chunks:${id}`,
    /** Sorted set of a tenant's batch ids, all with score 0, so that ids order it. */
    batches: (tenant: string) => `${prefix}:batches:${tenant}`,
    /** Sorted set of batches that are not finished, scored by when they expire. */
    liveBatches: `${prefix}:live-batches`,
    /** Sorted set of batches that have ended, scored by when their parts may go. */
    endedBatches: `${prefix}:ended-batches`,
    /** Hash of an API key: `definition`, `hash` of its secret, `last_used_at`, `revoked_at`. */
    apiKey: (id: string) => `${prefix}:api-key:${id}`,
    /** Sorted set of all API keys' ids, all with score 0, so that ids order it. */
    apiKeys: `${prefix}:api-keys`,
    /** Exists from the first API key on, for good: with it, keys are demanded. */
    keysDemanded: `${prefix}:keys-demanded`,
    /** Set of the tenants that have ever had an API key. */
    tenantNames: `${prefix}:tenant-names`,
    /** Hash of tenant → TenantLimits as JSON, for those that have any of their own. */
    tenants: `${prefix}:tenants`,
    /** Hash with the virtual time, the flows' finish tags and the backlog of one queue. */
    order: (queue: string) => `${prefix}:order:${queue}`,
    /** Exists for as long as it is a process's turn to look for jobs that have expired. */
    expiryTurn: `${prefix}:expiry-turn`,
    /** When the burst of an API key's rate limit is whole again. */
    rate: (keyId: string) => `${prefix}:rate:${keyId}`,
    /** What was asked for under an Idempotency-Key; the digest is of tenant and key. */
    once: (digest: string) => `${prefix}:once:${digest}`,
    /** A key of BullMQ's own. */
    bull: (queue: string, suffix: string) => `${prefix}:${queue}:${suffix}`,
    /** Hash of worker id → WorkerReport. */
    workers: `${prefix}:workers`,
    /** Hash of API process → the errors that it has answered. */
    apis: `${prefix}:apis`,
    /** Hash of a time, in steps → what all of Headrace did in that step, as the console shows it. */
    overview: `${prefix}:overview`,
    /** Tokens a second of one worker of a model, as one has said last; outlives it for days. */
    speed: (model: string) => `${prefix}:speed:${model}`,
    /** Hash of a delivery: what is sent, and what came of it; its own TTL. */
    delivery: (id: string) => `${prefix}:delivery:${id}`,
    /** Sorted set of a tenant's delivery ids, scored by when they were made. */
    deliveries: (tenant: string) => `${prefix}:deliveries:${tenant}`,
    /** Hash of a URL of a tenant that fails, or is disabled. */
    endpoint: (id: string) => `${prefix}:webhook-endpoint:${id}`,
    /** Sorted set of a tenant's endpoints that are disabled, scored by since when. */
    disabledEndpoints: (tenant: string) => `${prefix}:webhook-endpoints:${tenant}`,
    /** The secrets that a tenant's callbacks are signed with, newest first, as JSON. */
    webhookSecrets: (tenant: string) => `${prefix}:webhook-secrets:${tenant}`,
    finishedChannel: `${prefix}:finished`,
    startedChannel: `${prefix}:started`,
    cancelChannel: `${prefix}:cancel`,
  };
}
export type Keyspace = ReturnType<typeof createKeyspace>;

const TextRow = z.strictObject({ text: z.string(), text_pair: z.string().nullable() });
export type TextRow = z.infer<typeof TextRow>;
const IdsRow = z.strictObject({ ids: z.array(z.number()) });
/** A text, two texts, or the ids of a text that the caller has tokenized. */
const RowInput = z.union([TextRow, IdsRow]);
export type RowInput = z.infer<typeof RowInput>;

export const PRIORITIES = ['high', 'normal', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

/**
 * What a job of an `infer.<model>` queue carries. `v` changes when an older worker could misread a
 * payload: a worker leaves versions that it does not know to others (`stored-payload.ts`).
 */
export const JobPayloadSchema = z.object({
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
  /** The tenant's share of the work, where it is not 1. */
  weight: z.number().optional(),
  /** Who is told of its end. */
  webhook: WebhookTargetSchema.optional(),
  /** The span that submitted it, while tracing is on. */
  traceparent: z.string().optional(),
});
export type JobPayload = z.infer<typeof JobPayloadSchema>;

/** What a job of a `bulk.<model>` queue carries: a byte range of the input, many rows. */
export const ChunkPayloadSchema = z.object({
  v: z.literal(1),
  batch: z.string(),
  index: z.int(),
  start_byte: z.int(),
  end_byte: z.int(),
  first_line: z.int(),
  rows: z.int(),
  /** Lines whose custom_id an earlier line has. */
  duplicates: z.array(z.int()),
});
export type ChunkPayload = z.infer<typeof ChunkPayloadSchema>;

/** How often BullMQ has jobs of these queues tried: chunks, and the dispatcher's own. */
export const BULK = { attempts: 5, backoffMs: 2_000 } as const;

/** BullMQ's settings of who takes them. */
export const BULK_WORKER = {
  lockDuration: 15_000,
  stalledInterval: 2_000,
  maxStalledCount: 1_000_000,
  drainDelay: 1,
  runRetryDelay: 500,
  removeOnComplete: { count: 0 },
  removeOnFail: { count: 0 },
} as const;

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
