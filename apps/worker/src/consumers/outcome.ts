import { type ErrorCode, errorBody } from '@headrace/shared/errors.ts';
import { finishedRecord, type JobRecord } from '@headrace/shared/jobs.ts';
import type { JobPayload } from '@headrace/shared/queues.ts';
import type { InferenceResult } from '../inference/result.ts';

/** What a job came to: its record, and the code if it failed. */
export interface Outcome {
  record: JobRecord;
  code: ErrorCode | null;
}

/** What a record says beside the result. */
export interface JobFacts {
  id: string;
  payload: JobPayload;
  task: string;
  variant: string;
  attempts: number;
  startedMs: number;
  nowMs: number;
  resultTtlMs: number;
}

/** A job of one row fails with its row; a job of several carries the errors in their places. */
export function finished(facts: JobFacts, result: InferenceResult): Outcome {
  const { payload, startedMs, nowMs, variant } = facts;
  const { usage, timings: t } = result;
  const timings = {
    queue_ms: startedMs - payload.created_ms,
    tokenize_ms: micros(t.tokenizeMs),
    batch_wait_ms: micros(t.batchWaitMs),
    infer_ms: micros(t.inferMs),
    total_ms: nowMs - payload.created_ms,
    batch_rows: t.batchRows,
  };
  const [row] = result.output;
  const error = payload.rows.length === 1 ? row?.error : undefined;
  const record = finishedRecord(facts.id, payload, {
    ...facts,
    ...(error === undefined
      ? { status: 'succeeded', output: result.output }
      : { status: 'failed', error }),
    variant,
    usage,
    timings,
  });
  return { record, code: error?.code ?? null };
}

/** A job that came to its end without a run of its own. */
export function failed(facts: JobFacts, code: ErrorCode): Outcome {
  const status = code === 'expired' ? 'expired' : 'failed';
  return {
    record: finishedRecord(facts.id, facts.payload, { ...facts, status, error: errorBody(code) }),
    code,
  };
}

function micros(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
