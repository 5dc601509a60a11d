import { BlobError } from '@headrace/shared/blobs/blob-store.ts';
import { AppError, type ErrorCode, errorBody } from '@headrace/shared/errors.ts';
import { createThrottle, type Logger } from '@headrace/shared/logger.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import { redisFailure } from '@headrace/shared/redis.ts';
import type { Context } from 'hono';
import { answerJson } from './answer.ts';
import type { ApiEnv } from './api-env.ts';

interface ErrorRendererDeps {
  metrics: Metrics;
  log: Logger;
}

export type RenderError = (
  c: Context<ApiEnv>,
  error: unknown,
  extra?: Record<string, unknown>,
) => Response;

/** Answers that a probe or a patient caller asked for. */
const EXPECTED = new Set<ErrorCode>(['wait_timeout', 'not_ready']);

/** The client has gone while its body was read; nobody gets the answer. */
const CLIENT_GONE = /aborted|prematurely closed|ECONNRESET/;

/** The one place where a failure becomes an answer: it is counted here, and logged if it is ours. */
export function createErrorRenderer({ metrics, log }: ErrorRendererDeps): RenderError {
  const throttle = createThrottle(1_000);

  function report(c: Context<ApiEnv>, failure: AppError): void {
    metrics.counters.errors.inc({ code: failure.code });
    if (failure.status < 500 || EXPECTED.has(failure.code)) return;
    const level = failure.code === 'internal' ? 'error' : 'warn';
    throttle(failure.code, (swallowed) => {
      const request_id = c.get('requestId');
      const err = failure.code === 'internal' ? failure.cause : undefined;
      log[level]({ event: 'http.failure', code: failure.code, request_id, err, swallowed });
    });
  }

  return (c, error, extra = {}) => {
    const failure = toAppError(error);
    report(c, failure);
    const { status } = failure;
    const headers = ownHeaders(failure);
    return answerJson(c, { error: publicError(failure), ...extra }, { status, headers });
  };
}

/**
 * How to be let in, or when another try makes sense. One that timed out goes on by itself; the
 * clients of OpenAI would submit it again if they were not told.
 */
function ownHeaders({ code, retryAfterS }: AppError): Record<string, string> {
  if (code === 'unauthorized') return { 'www-authenticate': 'Bearer' };
  if (code === 'wait_timeout') return { 'x-should-retry': 'false' };
  const retryAfter = retryAfterS === null ? {} : { 'retry-after': `${retryAfterS}` };
  // Theirs take a 409 for final otherwise.
  if (code === 'idempotency_in_progress') return { ...retryAfter, 'x-should-retry': 'true' };
  return retryAfter;
}

/** The error object of an answer. */
export function publicError(failure: AppError): Record<string, unknown> {
  const body = errorBody(failure.code, failure.message, failure.param);
  return failure.jobId === null ? { ...body } : { ...body, job_id: failure.jobId };
}

function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof BlobError) return blobFailure(error);
  const known = redisFailure(error);
  if (known) return known;
  if (error instanceof Error && CLIENT_GONE.test(error.message)) {
    return new AppError('invalid_request', { message: 'the body was not complete', cause: error });
  }
  return new AppError('internal', { cause: error });
}

/** What a failure of the file storage means to a caller; what it says of itself is for the log. */
function blobFailure(cause: BlobError): AppError {
  if (cause.reason === 'full') {
    const message = 'The file storage is full.';
    return new AppError('storage_unavailable', { message, retryAfterS: 60, cause });
  }
  if (!cause.isRetryable) return new AppError('internal', { cause });
  return new AppError('storage_unavailable', { retryAfterS: 5, cause });
}
