import { z } from 'zod';
import { isBatchId, isFileId } from '../ids.ts';
import { PRIORITIES } from '../queues.ts';
import { WebhookTargetSchema } from '../webhooks/webhook-target.ts';
import { DocumentOutputSchema, DocumentsSchema } from './documents.ts';
import { ColumnSchema } from './table.ts';

export const BATCH_ENDPOINTS = ['/v1/jobs', '/v1/embeddings'] as const;
export type BatchEndpoint = (typeof BATCH_ENDPOINTS)[number];

export const BATCH_STATUSES = [
  'validating',
  'failed',
  'in_progress',
  'finalizing',
  'completed',
  'expired',
  'cancelling',
  'cancelled',
] as const;
export type BatchStatus = (typeof BATCH_STATUSES)[number];

const TERMINAL = new Set<BatchStatus>(['failed', 'completed', 'expired', 'cancelled']);

export function isTerminal(status: BatchStatus): boolean {
  return TERMINAL.has(status);
}

const WINDOW = /^(\d{1,3})([hd])$/;
const SECONDS = { h: 3_600, d: 86_400 };
const MIN_WINDOW_S = 3_600;
const MAX_WINDOW_S = 7 * 86_400;

/** Seconds of a completion window such as `24h` or `7d`; null when it is none from 1 h to 7 d. */
export function windowSeconds(window: string): number | null {
  const [, count, unit] = WINDOW.exec(window) ?? [];
  const seconds = Number(count) * (unit === 'd' ? SECONDS.d : SECONDS.h);
  return seconds >= MIN_WINDOW_S && seconds <= MAX_WINDOW_S ? seconds : null;
}

const ScoringSchema = z.object({
  /** `name@version` */
  model: z.string(),
  documents: DocumentsSchema,
  output: DocumentOutputSchema,
  /** Of the task, as the caller gave them. */
  parameters: z.record(z.string(), z.unknown()),
});
export type Scoring = z.infer<typeof ScoringSchema>;

/** What a batch was created as; it never changes. */
export const BatchDefinitionSchema = z.object({
  v: z.int(),
  id: z.string().refine(isBatchId),
  tenant: z.string(),
  endpoint: z.enum(BATCH_ENDPOINTS),
  input_file_id: z.string().refine(isFileId).nullable(),
  /** Where the input is, if it is none of our files. */
  input_url: z.string().nullable().default(null),
  /** What the input at a URL was in the batch that is tried again; null: whatever it is. */
  input_version: z.string().nullable().default(null),
  completion_window: z.string(),
  metadata: z.record(z.string(), z.string()),
  created_ms: z.number(),
  expires_ms: z.number(),
  priority: z.enum(PRIORITIES).default('normal'),
  /** Of the tenant when it was created: its share of the work. */
  weight: z.number().default(1),
  /** Plain documents, and what is done with them; null: lines of requests. */
  scoring: ScoringSchema.nullable().default(null),
  /** Nothing is run: rows are checked and counted, and a sample is tokenized. */
  dry_run: z.boolean().default(false),
  /** The batch of which only the rows that failed are run. */
  retry_of: z.string().refine(isBatchId).nullable().default(null),
  /** How long the files of results are kept; null: as the dispatcher is configured. */
  output_ttl_s: z.number().nullable().default(null),
  /** Who is told of its end. */
  webhook: WebhookTargetSchema.nullable().default(null),
  /** The span of the request that created it, while tracing is on. */
  traceparent: z.string().optional(),
});
export type BatchDefinition = z.infer<typeof BatchDefinitionSchema>;

/** Of a newer version: what is not known here stands as if it were not there. */
const NewerDefinitionSchema = BatchDefinitionSchema.extend({
  endpoint: z.enum(BATCH_ENDPOINTS).catch('/v1/jobs'),
  priority: z.enum(PRIORITIES).catch('normal'),
  scoring: ScoringSchema.nullable().catch(null),
  webhook: WebhookTargetSchema.nullable().catch(null),
});

/** @throws ZodError when it is no definition of this version or of a newer one */
export function parseDefinition(json: string): BatchDefinition {
  const stored = JSON.parse(json);
  const known = BatchDefinitionSchema.safeParse(stored);
  return known.success ? known.data : NewerDefinitionSchema.parse(stored);
}

const LineError = z.object({
  code: z.string(),
  line: z.int().nullable(),
  message: z.string(),
  param: z.string().nullable(),
});
export type BatchError = z.infer<typeof LineError>;

const count = z.coerce.number().default(0);
const timeMs = z.coerce.number().nullable().default(null);

/** Fields that grow with each chunk that is done. */
export const CHUNK_COUNTS = {
  completed: count,
  failed: count,
  tokens: count,
  /** Of a dry run. */
  sampled_rows: count,
  sampled_tokens: count,
  /** Sum of the squares of the rows' tokens. */
  sampled_squares: count,
  sampled_truncated: count,
};

/** What a batch has come to; each is a field of its hash in Redis. */
export const BatchStateSchema = z.object({
  status: z.enum(BATCH_STATUSES),
  /** Why it came to `finalizing`; decides the terminal state. */
  outcome: z.enum(['completed', 'expired', 'cancelled', 'failed']).default('completed'),
  paused: z.coerce.number().default(0),
  /** How long it was paused, without the time since `paused_since_ms`. */
  paused_ms: count,
  paused_since_ms: timeMs,
  /** The mark that the rate is measured from, by `finish-chunk.lua`; null: the beginning. */
  rate_from_ms: timeMs,
  rate_from_rows: count,
  /** 1: the planner has written the rows anew, as lines that can be cut anywhere. */
  staged: count,
  /** Columns of the input, where they are joined to the answers. */
  columns: z
    .string()
    .default('[]')
    .transform((json) => z.array(ColumnSchema).parse(JSON.parse(json))),
  /** `name@version`, once the first line that names it was read. */
  model: z.string().nullable().default(null),
  total: count,
  ...CHUNK_COUNTS,
  /** What an input that others may change was when it was planned. */
  input_version: z.string().nullable().default(null),
  /** Rows that are not valid, as the planner found them. */
  invalid: count,
  chunks: count,
  done_chunks: count,
  /** Chunks below it were handed out at least once. */
  next_chunk: count,
  in_progress_ms: timeMs,
  finalizing_ms: timeMs,
  completed_ms: timeMs,
  failed_ms: timeMs,
  expired_ms: timeMs,
  cancelling_ms: timeMs,
  cancelled_ms: timeMs,
  output_file_id: z.string().nullable().default(null),
  error_file_id: z.string().nullable().default(null),
  errors: z
    .string()
    .nullable()
    .default(null)
    .transform((json) => (json === null ? null : z.array(LineError).parse(JSON.parse(json)))),
  /** Why it does not go on at the moment. */
  waiting_for: z.string().nullable().default(null),
});
export type BatchState = z.infer<typeof BatchStateSchema>;

export interface StoredBatch {
  definition: BatchDefinition;
  state: BatchState;
}

/** It was cancelled, or expired, before its rows were known: all of them are left. */
export function neverPlanned({ status, chunks }: BatchState): boolean {
  return chunks === 0 && (status === 'cancelled' || status === 'expired');
}

const Time = z.number().nullable();

const SCORING_VIEW = {
  documents: z.union([DocumentsSchema, z.null()]),
  output: z.union([DocumentOutputSchema, z.null()]),
  parameters: z.record(z.string(), z.unknown()).nullable(),
};

const Estimate = z.object({
  rows: z.int().describe('Rows that can be run.'),
  invalid_rows: z.int(),
  sampled_rows: z.int().describe('Rows that were tokenized for this.'),
  tokens: z.int().describe('Of all rows, by the sample.'),
  truncated_rows: z.int().describe('Rows over max_tokens of the model, by the sample.'),
  seconds: z
    .object({ low: z.number(), high: z.number() })
    .nullable()
    .describe('With the workers that are ready now and nothing else to do; null if there is none.'),
});

/** A batch as the Batch API of OpenAI shows it, and a little more. Times are unix seconds. */
export const BatchSchema = z
  .object({
    id: z.string(),
    object: z.literal('batch'),
    endpoint: z.enum(BATCH_ENDPOINTS),
    model: z.string().nullable(),
    errors: z.object({ object: z.literal('list'), data: z.array(LineError) }).nullable(),
    input_file_id: z.string().nullable().describe('null where the input was given as a URL.'),
    input_url: z.string().nullable(),
    ...SCORING_VIEW,
    priority: z.enum(PRIORITIES),
    dry_run: z.boolean(),
    retry_of: z.string().nullable(),
    estimate: Estimate.nullable().describe('Of a dry run that is completed.'),
    completion_window: z.string(),
    status: z.enum(BATCH_STATUSES),
    paused: z.boolean(),
    waiting_for: z.string().nullable().describe('Why it does not go on at the moment.'),
    output_file_id: z.string().nullable(),
    error_file_id: z.string().nullable(),
    created_at: z.number(),
    in_progress_at: Time,
    expires_at: z.number(),
    finalizing_at: Time,
    completed_at: Time,
    failed_at: Time,
    expired_at: Time,
    cancelling_at: Time,
    cancelled_at: Time,
    request_counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }),
    progress: z.object({
      rows_done: z.int(),
      rows_per_s: z.number().nullable(),
      eta_s: z.number().nullable(),
    }),
    usage: z.object({ input_tokens: z.int(), output_tokens: z.literal(0), total_tokens: z.int() }),
    metadata: z.record(z.string(), z.string()),
  })
  .meta({ id: 'Batch' });
export type Batch = z.infer<typeof BatchSchema>;

const TIMES = [
  'in_progress',
  'finalizing',
  'completed',
  'failed',
  'expired',
  'cancelling',
  'cancelled',
] as const;

interface ViewOptions {
  nowMs: number;
  /** Tokens a second that the ready workers of a model do; 0 when unknown. */
  tokensPerSecond: (model: string) => number;
}

/** A stored batch as callers see it. */
export function batchView(batch: StoredBatch, { nowMs, tokensPerSecond }: ViewOptions): Batch {
  const { definition, state } = batch;
  const { id, endpoint, completion_window, metadata, scoring } = definition;
  const { input_file_id, input_url } = definition;
  const { status, output_file_id, error_file_id, waiting_for, tokens } = state;
  const { documents = null, output = null, parameters = null } = scoring ?? {};
  const { priority, dry_run, retry_of } = definition;
  const model = state.model ?? scoring?.model ?? null;
  const [in_progress_at, finalizing_at, completed_at, failed_at, ...rest] = TIMES.map((name) =>
    seconds(state[`${name}_ms`]),
  );
  const [expired_at = null, cancelling_at = null, cancelled_at = null] = rest;
  return {
    ...{ id, object: 'batch', endpoint, model },
    errors: state.errors === null ? null : { object: 'list', data: state.errors },
    ...{ documents, output, parameters, priority, dry_run, retry_of },
    estimate: estimateOf(batch, tokensPerSecond),
    ...{
      input_file_id,
      input_url,
      completion_window,
      status,
      paused: state.paused === 1,
      waiting_for,
    },
    ...{ output_file_id, error_file_id },
    created_at: Math.floor(definition.created_ms / 1000),
    in_progress_at: in_progress_at ?? null,
    expires_at: Math.floor(definition.expires_ms / 1000),
    finalizing_at: finalizing_at ?? null,
    completed_at: completed_at ?? null,
    failed_at: failed_at ?? null,
    ...{ expired_at, cancelling_at, cancelled_at },
    request_counts: { total: state.total, completed: state.completed, failed: state.failed },
    progress: progressOf(state, nowMs),
    usage: { input_tokens: tokens, output_tokens: 0, total_tokens: tokens },
    metadata,
  };
}

function progressOf(state: BatchState, nowMs: number): Batch['progress'] {
  const done = state.completed + state.failed;
  const rowsPerS = state.finalizing_ms === null ? rateNow(state, nowMs) : rateInAll(state);
  const running = state.status === 'in_progress' && rowsPerS !== null && rowsPerS > 0;
  return {
    rows_done: done,
    rows_per_s: rowsPerS === null ? null : Math.round(rowsPerS * 100) / 100,
    eta_s: running ? Math.ceil((state.total - done) / rowsPerS) : null,
  };
}

/** Rows a second of the last minute or so; null while nothing runs, or nothing is known yet. */
function rateNow(state: BatchState, nowMs: number): number | null {
  const fromMs = state.rate_from_ms ?? state.in_progress_ms;
  const rows = state.completed + state.failed - state.rate_from_rows;
  if (fromMs === null || state.paused === 1 || rows === 0) return null;
  return (rows * 1000) / Math.max(1, nowMs - fromMs);
}

/** Rows a second from the first to the last, without the time in which it was paused. */
function rateInAll(state: BatchState): number | null {
  const { in_progress_ms, finalizing_ms, paused_ms, paused_since_ms } = state;
  const rows = state.completed + state.failed;
  if (in_progress_ms === null || finalizing_ms === null || rows === 0) return null;
  const sinceMs = Math.max(in_progress_ms, paused_since_ms ?? finalizing_ms);
  const pausedMs = paused_ms + finalizing_ms - sinceMs;
  return (rows * 1000) / Math.max(1, finalizing_ms - in_progress_ms - pausedMs);
}

/** Two-sided, of a normal distribution. */
const Z_95 = 1.96;
/** Engines that run without a pause do not reach the end of a pipeline: at worst so much of it. */
const WORST_EFFICIENCY = 0.7;

/** Tokens of all rows by the mean of the sample, with its 95 % interval for the time. */
function estimateOf(
  { definition, state }: StoredBatch,
  tokensPerSecond: (model: string) => number,
) {
  const n = state.sampled_rows;
  if (!definition.dry_run || state.status !== 'completed' || n === 0) return null;
  const rows = state.total - state.invalid;
  const mean = state.sampled_tokens / n;
  const variance = Math.max(0, state.sampled_squares / n - mean ** 2);
  const error = n >= rows ? 0 : (Z_95 * Math.sqrt(variance)) / Math.sqrt(n);
  const speed = tokensPerSecond(state.model ?? '');
  const time = (tokens: number) => Math.round((rows * tokens * 1000) / speed) / 1000;
  const low = time(Math.max(1, mean - error));
  return {
    ...{ rows, invalid_rows: state.invalid, sampled_rows: n, tokens: Math.round(mean * rows) },
    truncated_rows: Math.round((state.sampled_truncated / n) * rows),
    seconds: speed > 0 ? { low, high: time(mean + error) / WORST_EFFICIENCY } : null,
  };
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : Math.floor(ms / 1000);
}
