/**
 * The error catalogue: one place decides the HTTP status, the retryability and the default text of
 * every code that a caller can see.
 */

interface CatalogueEntry {
  /** HTTP status; for codes that only occur inside a job, the status `/predict` answers with. */
  status: number;
  retryable: boolean;
  type: 'invalid_request_error' | 'rate_limit_error' | 'api_error' | 'job_error';
  message: string;
}

const invalid = (status: number, message: string): CatalogueEntry => ({
  status,
  retryable: false,
  type: 'invalid_request_error',
  message,
});
const limit = (message: string): CatalogueEntry => ({
  status: 429,
  retryable: true,
  type: 'rate_limit_error',
  message,
});
const server = (status: number, retryable: boolean, message: string): CatalogueEntry => ({
  status,
  retryable,
  type: 'api_error',
  message,
});
const inJob = (status: number, retryable: boolean, message: string): CatalogueEntry => ({
  status,
  retryable,
  type: 'job_error',
  message,
});

export const ERROR_CATALOGUE = {
  invalid_request: invalid(400, 'The request is not valid.'),
  unauthorized: invalid(401, 'A valid API key is required.'),
  forbidden: invalid(403, 'The API key may not do this.'),
  not_found: invalid(404, 'No such resource.'),
  model_not_found: invalid(404, 'No such model.'),
  method_not_allowed: invalid(405, 'The method is not allowed on this route.'),
  job_already_finished: invalid(409, 'The job has already finished.'),
  job_not_finished: invalid(409, 'The job has not finished yet.'),
  batch_not_running: invalid(409, 'The batch does not run any more.'),
  batch_not_finished: invalid(409, 'The batch has not finished yet.'),
  delivery_without_body: invalid(409, 'What was to be sent is not kept any more.'),
  idempotency_in_progress: {
    ...invalid(409, 'A request with this Idempotency-Key is still in progress.'),
    retryable: true,
  },
  body_too_large: invalid(413, 'The request body is too large.'),
  too_many_rows: invalid(413, 'The job has too many rows.'),
  unsupported_media_type: invalid(415, 'The content type must be application/json.'),
  idempotency_mismatch: invalid(422, 'This Idempotency-Key was used with another body.'),
  text_too_long: invalid(422, 'The text is too long.'),
  range_not_satisfiable: invalid(416, 'The range lies outside of the file.'),
  rate_limited: limit('Too many requests.'),
  overloaded: limit('The backlog is too long.'),
  storage_nearly_full: server(503, true, 'The queue storage is nearly full.'),
  storage_unavailable: server(503, true, 'The file storage is not reachable at the moment.'),
  redis_unavailable: server(503, true, 'The queue is not reachable at the moment.'),
  not_ready: server(503, true, 'The service is not ready.'),
  wait_timeout: server(504, true, 'The job did not finish in time; poll it by its id.'),
  internal: server(500, true, 'Internal error.'),
  empty_text: inJob(422, false, 'The text is empty.'),
  tokenizer_failed: inJob(422, false, 'The text could not be tokenized.'),
  row_crashed_engine: inJob(422, false, 'The row crashed the inference engine.'),
  row_timed_out: inJob(504, true, 'The row did not finish within timeout_s.'),
  non_finite_output: inJob(422, false, 'The model gave a result that is not a finite number.'),
  out_of_memory: inJob(503, true, 'The device ran out of memory on this row alone.'),
  attempts_exhausted: inJob(503, true, 'The job was attempted too many times.'),
  unsupported_payload: inJob(503, true, 'No worker could read the job: it is of a newer version.'),
  expired: inJob(410, true, 'The job expired before it started.'),
  canceled: inJob(409, false, 'The job was canceled.'),
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;
export const ERROR_CODES = Object.keys(ERROR_CATALOGUE) as ErrorCode[];

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CATALOGUE, value);
}

interface AppErrorDetails {
  /** Names the field, the value's problem and the limit. Never holds user text. */
  message?: string;
  /** Path of the offending field, such as `parameters.top_k`. */
  param?: string | null;
  retryAfterS?: number;
  jobId?: string;
  cause?: unknown;
}

/** An error with a code of the catalogue. Everything a caller sees is rendered from one of these. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly param: string | null;
  readonly retryAfterS: number | null;
  readonly jobId: string | null;

  constructor(code: ErrorCode, details: AppErrorDetails = {}) {
    super(details.message ?? ERROR_CATALOGUE[code].message, { cause: details.cause });
    this.name = 'AppError';
    this.code = code;
    this.param = details.param ?? null;
    this.retryAfterS = details.retryAfterS ?? null;
    this.jobId = details.jobId ?? null;
  }

  get status(): number {
    return ERROR_CATALOGUE[this.code].status;
  }

  get retryable(): boolean {
    return ERROR_CATALOGUE[this.code].retryable;
  }
}

/** The error object of the public contract. */
export interface ErrorBody {
  message: string;
  type: string;
  code: ErrorCode;
  param: string | null;
  retryable: boolean;
}

export function errorBody(
  code: ErrorCode,
  message?: string,
  param: string | null = null,
): ErrorBody {
  const entry = ERROR_CATALOGUE[code];
  return {
    message: message ?? entry.message,
    type: entry.type,
    code,
    param,
    retryable: entry.retryable,
  };
}
