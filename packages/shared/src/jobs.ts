import { z } from 'zod';
import { ERROR_CODES, type ErrorBody } from './errors.ts';
import { type JobPayload, PRIORITIES, type RowInput } from './queues.ts';
import { isReadable, type StoredPayload } from './stored-payload.ts';
import { TASK_NAMES } from './tasks/index.ts';

export const JOB_STATUSES = [
  'queued',
  'running',
  'succeeded',
  'failed',
  'canceled',
  'expired',
] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

export const ErrorSchema = z
  .object({
    message: z.string(),
    type: z.string(),
    code: z.enum(ERROR_CODES),
    param: z.string().nullable(),
    retryable: z.boolean(),
  })
  .meta({ id: 'Error' });

const RowOutput = z
  .looseObject({
    tokens: z.int().describe('Tokens of the row before truncation, special tokens included.'),
    truncated: z.boolean(),
    chunks: z
      .int()
      .optional()
      .describe('Over how many chunks the answer was averaged, if several.'),
    labels: z.array(z.object({ label: z.string(), score: z.number() })).optional(),
    embedding: z.union([z.array(z.number()), z.string()]).optional(),
    error: ErrorSchema.optional(),
  })
  .meta({ id: 'RowOutput' });

const Timings = z.object({
  queue_ms: z.number(),
  tokenize_ms: z.number(),
  batch_wait_ms: z.number(),
  infer_ms: z.number(),
  total_ms: z.number(),
  batch_rows: z.number(),
});

const Usage = z.object({
  rows: z.int(),
  tokens: z.int(),
  padded_cells: z.number(),
  failed_rows: z.int(),
});

/** A job as callers see it. Times are unix seconds; unset is null, never missing. */
export const JobSchema = z
  .object({
    id: z.string(),
    object: z.literal('job'),
    status: z.enum(JOB_STATUSES),
    model: z.string(),
    variant: z.string().nullable(),
    task: z.enum(TASK_NAMES as [string, ...string[]]),
    output: z.array(RowOutput).nullable(),
    error: z.union([ErrorSchema, z.null()]),
    usage: Usage.nullable(),
    timings: Timings.nullable(),
    attempts: z.int(),
    priority: z.enum(PRIORITIES),
    metadata: z.record(z.string(), z.string()),
    created_at: z.number(),
    started_at: z.number().nullable(),
    finished_at: z.number().nullable(),
    expires_at: z
      .number()
      .describe('Live: when it expires if it has not started. Finished: when it is deleted.'),
    position: z.number().nullable().describe('While queued: about how many rows are ahead.'),
    eta_s: z.number().nullable().describe('While queued: the expected wait, if a worker is known.'),
    retry_of: z.string().nullable(),
  })
  .meta({ id: 'Job' });
export type Job = z.infer<typeof JobSchema>;
export type RowOutput = z.infer<typeof RowOutput>;

/** What Redis holds of a finished job. The input stays only where a retry may need it. */
export interface JobRecord {
  tenant: string;
  job: Job;
  retry: Pick<JobPayload, 'rows' | 'parameters' | 'ttl_s' | 'timeout_s' | 'webhook'> | null;
}

function seconds(ms: number): number {
  return Math.floor(ms) / 1000;
}

interface LiveState {
  task: string;
  attempts: number;
  startedMs: number | null;
  position: number | null;
  etaS: number | null;
}

/** A job that waits or runs, as callers see it. */
export function liveJob(id: string, payload: StoredPayload, live: LiveState): Job {
  const running = live.startedMs !== null;
  return {
    id,
    object: 'job',
    status: running ? 'running' : 'queued',
    model: payload.model,
    variant: null,
    task: live.task,
    output: null,
    error: null,
    usage: null,
    timings: null,
    attempts: live.attempts,
    priority: payload.priority,
    metadata: payload.metadata,
    created_at: seconds(payload.created_ms),
    started_at: live.startedMs === null ? null : seconds(live.startedMs),
    finished_at: null,
    expires_at: seconds(payload.created_ms + payload.ttl_s * 1000),
    position: running ? null : live.position,
    eta_s: running ? null : live.etaS,
    retry_of: payload.retry_of,
  };
}

interface Finish {
  status: 'succeeded' | 'failed' | 'canceled' | 'expired';
  task: string;
  nowMs: number;
  resultTtlMs: number;
  attempts: number;
  startedMs: number | null;
  variant?: string;
  output?: RowOutput[];
  error?: ErrorBody;
  usage?: z.infer<typeof Usage>;
  timings?: z.infer<typeof Timings>;
}

/**
 * The record of a job that has reached a terminal state. One that could not be read cannot be tried
 * again: nobody here knows what it asks for.
 */
export function finishedRecord(id: string, payload: StoredPayload, finish: Finish): JobRecord {
  const job: Job = {
    ...liveJob(id, payload, { ...finish, position: null, etaS: null }),
    status: finish.status,
    variant: finish.variant ?? null,
    output: finish.output ?? null,
    error: finish.error ?? null,
    usage: finish.usage ?? null,
    timings: finish.timings ?? null,
    finished_at: seconds(finish.nowMs),
    expires_at: seconds(finish.nowMs + finish.resultTtlMs),
  };
  const retry = finish.status === 'succeeded' ? null : whatToRetry(payload);
  return { tenant: payload.tenant, job, retry };
}

function whatToRetry(payload: StoredPayload): JobRecord['retry'] {
  if (!isReadable(payload)) return null;
  const { rows, parameters, ttl_s, timeout_s, webhook } = payload;
  return { rows, parameters, ttl_s, timeout_s, ...(webhook && { webhook }) };
}

/** Rough tokens of a row before it is tokenized: English has about four characters a token. */
export function estimateTokens(row: RowInput, maxTokens: number): number {
  if ('ids' in row) return Math.min(maxTokens, row.ids.length + 2);
  const characters = row.text.length + (row.text_pair?.length ?? 0);
  return Math.min(maxTokens, Math.ceil(characters / 4) + 2);
}
