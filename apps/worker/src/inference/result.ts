import { type AppError, type ErrorCode, errorBody } from '@headrace/shared/errors.ts';
import type { RowOutput } from '@headrace/shared/jobs.ts';
import type { BoundTask } from '@headrace/shared/tasks/index.ts';
import type { TaskParameters } from '@headrace/shared/tasks/task.ts';
import type { InferenceRow } from './inference-row.ts';

/** What became of a job's rows. */
export interface InferenceResult {
  task: string;
  /** One per row, in order. */
  output: RowOutput[];
  /** The code of each row that failed. */
  failures: ErrorCode[];
  usage: { rows: number; tokens: number; padded_cells: number; failed_rows: number };
  timings: { tokenizeMs: number; batchWaitMs: number; inferMs: number; batchRows: number };
}

interface AnswerOptions {
  task: BoundTask;
  parameters: TaskParameters;
}

interface SummaryOptions extends AnswerOptions {
  fetchedMs: number;
}

/** A row that is settled. */
interface SettledRow {
  /** Before truncation. */
  readonly tokens: number;
  readonly truncated: boolean;
  readonly error: AppError | null;
  /** The numbers of each encoding, `[width]`. */
  readonly values: Float32Array[];
}

/** The answer of a job whose rows are all settled. */
export function summarize(rows: InferenceRow[], options: SummaryOptions): InferenceResult {
  const output = rows.map((row) => rowOutput(row, options));
  const failures = rows.flatMap(({ error }) => (error ? [error.code] : []));
  const batches = rows.flatMap((row) => row.batches);
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
  const usage = {
    rows: rows.length,
    tokens: sum(rows.map((row) => row.inferredTokens)),
    padded_cells: sum(batches.map(({ longest }) => longest)),
    failed_rows: failures.length,
  };
  return {
    task: options.task.name,
    output,
    failures,
    usage,
    timings: timingsOf(rows, options.fetchedMs),
  };
}

export function rowOutput(row: SettledRow, { task, parameters }: AnswerOptions): RowOutput {
  const { tokens, truncated, error } = row;
  if (error) return { tokens, truncated, error: errorBody(error.code, error.message) };
  const parts = row.values.map((values) => task.activate(values, parameters));
  const answer = task.decode(
    parts.length === 1 ? (parts[0] ?? mean(parts)) : mean(parts),
    parameters,
  );
  const chunks = parts.length > 1 ? { chunks: parts.length } : {};
  return { ...answer, tokens, truncated, ...chunks };
}

/** Element by element, `[parts][width]` → `[width]`. */
function mean(parts: Float32Array[]): Float32Array {
  const width = parts[0]?.length ?? 0;
  const result = new Float32Array(width);
  for (let i = 0; i < width; i++) {
    result[i] = parts.reduce((sum, part) => sum + (part[i] ?? 0), 0) / parts.length;
  }
  return result;
}

/**
 * Of a job of one row: its own. Of several rows: until all were tokenized, until the first began to
 * run, the model time of the tensor batches that held them, and the mean size of those.
 */
function timingsOf(rows: InferenceRow[], fetchedMs: number): InferenceResult['timings'] {
  const batches = new Set(rows.flatMap((row) => row.batches));
  const tokenizedMs = rows.reduce((latest, row) => Math.max(latest, row.tokenizedMs), fetchedMs);
  const inferStartMs = rows.reduce(
    (first, row) => Math.min(first, row.inferStartMs),
    Number.POSITIVE_INFINITY,
  );
  let inferMs = 0;
  let batchRows = 0;
  for (const batch of batches) {
    inferMs += batch.inferMs;
    batchRows += batch.rows / batches.size;
  }
  const waited = Number.isFinite(inferStartMs) ? inferStartMs - tokenizedMs : 0;
  return {
    tokenizeMs: tokenizedMs - fetchedMs,
    batchWaitMs: Math.max(0, waited),
    inferMs,
    batchRows: Math.round(batchRows),
  };
}
