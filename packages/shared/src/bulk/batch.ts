import { z } from 'zod';
import { isBatchId, isFileId } from '../ids.ts';

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

/** What a batch was created as; it never changes. */
export const BatchDefinitionSchema = z.object({
  v: z.literal(1),
  id: z.string().refine(isBatchId),
  tenant: z.string(),
  endpoint: z.enum(BATCH_ENDPOINTS),
  input_file_id: z.string().refine(isFileId),
  completion_window: z.string(),
  metadata: z.record(z.string(), z.string()),
  created_ms: z.number(),
  expires_ms: z.number(),
});
export type BatchDefinition = z.infer<typeof BatchDefinitionSchema>;

const LineError = z.object({
  code: z.string(),
  line: z.int().nullable(),
  message: z.string(),
  param: z.string().nullable(),
});
export type BatchError = z.infer<typeof LineError>;

const count = z.coerce.number().default(0);
const timeMs = z.coerce.number().nullable().default(null);

/** What a batch has come to; each is a field of its hash in Redis. */
export const BatchStateSchema = z.object({
  status: z.enum(BATCH_STATUSES),
  /** Why it came to `finalizing`; decides the terminal state. */
  outcome: z.enum(['completed', 'expired', 'cancelled', 'failed']).default('completed'),
  paused: z.coerce.number().default(0),
  /** `name@version`, once the first line that names it was read. */
  model: z.string().nullable().default(null),
  total: count,
  completed: count,
  failed: count,
  tokens: count,
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

const Time = z.number().nullable();

/** A batch as the Batch API of OpenAI shows it, and a little more. Times are unix seconds. */
export const BatchSchema = z
  .object({
    id: z.string(),
    object: z.literal('batch'),
    endpoint: z.enum(BATCH_ENDPOINTS),
    model: z.string().nullable(),
    errors: z.object({ object: z.literal('list'), data: z.array(LineError) }).nullable(),
    input_file_id: z.string(),
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

/** A stored batch as callers see it. */
export function batchView({ definition, state }: StoredBatch, nowMs: number): Batch {
  const { id, endpoint, input_file_id, completion_window, metadata } = definition;
  const { status, model, output_file_id, error_file_id, waiting_for, tokens } = state;
  const [in_progress_at, finalizing_at, completed_at, failed_at, ...rest] = TIMES.map((name) =>
    seconds(state[`${name}_ms`]),
  );
  const [expired_at = null, cancelling_at = null, cancelled_at = null] = rest;
  return {
    ...{ id, object: 'batch', endpoint, model },
    errors: state.errors === null ? null : { object: 'list', data: state.errors },
    ...{ input_file_id, completion_window, status, paused: state.paused === 1, waiting_for },
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
  const beganMs = state.in_progress_ms;
  if (beganMs === null || done === 0) return { rows_done: done, rows_per_s: null, eta_s: null };
  const elapsedS = Math.max(0.001, ((state.finalizing_ms ?? nowMs) - beganMs) / 1000);
  const rowsPerS = done / elapsedS;
  const running = state.status === 'in_progress' && state.paused === 0;
  return {
    rows_done: done,
    rows_per_s: Math.round(rowsPerS * 100) / 100,
    eta_s: running ? Math.ceil((state.total - done) / rowsPerS) : null,
  };
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : Math.floor(ms / 1000);
}
