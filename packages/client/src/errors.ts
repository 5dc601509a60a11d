import type { ErrorCode, ErrorEnvelope } from './api-types.ts';

interface ErrorDetails {
  code: ErrorCode;
  message: string;
  status: number;
  param: string | null;
  requestId: string | null;
  /** Of a request that was given up while its job goes on. */
  jobId: string | null;
  retryAfterS: number | null;
  retryable: boolean;
}

/** What the API answered instead of a result. `code` is one of its catalogue. */
export class HeadraceError extends Error {
  override readonly name = 'HeadraceError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly param: string | null;
  readonly requestId: string | null;
  readonly jobId: string | null;
  readonly retryAfterS: number | null;
  readonly retryable: boolean;

  constructor(details: ErrorDetails) {
    super(details.message);
    this.code = details.code;
    this.status = details.status;
    this.param = details.param;
    this.requestId = details.requestId;
    this.jobId = details.jobId;
    this.retryAfterS = details.retryAfterS;
    this.retryable = details.retryable;
  }
}

/** No answer, or not all of it: the server is not there, or the connection broke or stood still. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  /** Nothing of the request can have arrived. */
  readonly neverSent: boolean;

  constructor(message: string, { cause, neverSent }: { cause: unknown; neverSent: boolean }) {
    super(message, { cause });
    this.neverSent = neverSent;
  }
}

/** The error of an answer; one that is not of the contract, such as a proxy's, counts as internal. */
export async function errorOf(response: Response): Promise<HeadraceError> {
  return errorIn(await response.text().catch(() => ''), response);
}

/** @param text its body, or an event that came later */
export function errorIn(text: string, { status, headers }: Response): HeadraceError {
  const body = errorBodyOf(text);
  return new HeadraceError({
    code: body.code ?? 'internal',
    message: body.message ?? `The server answered ${status} without saying why.`,
    status,
    param: body.param ?? null,
    requestId: headers.get('x-request-id'),
    jobId: body.job_id ?? null,
    retryAfterS: retryAfterS(headers.get('retry-after')),
    retryable: shouldRetry(headers.get('x-should-retry')) ?? body.retryable ?? status >= 500,
  });
}

type ErrorAnswer = Partial<ErrorEnvelope['error']>;

function errorBodyOf(text: string): ErrorAnswer {
  try {
    const { error }: { error?: ErrorAnswer } = JSON.parse(text);
    return error ?? {};
  } catch {
    return {};
  }
}

/** @param header seconds, or a date */
function retryAfterS(header: string | null): number | null {
  if (header === null || header === '') return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}

function shouldRetry(header: string | null): boolean | null {
  if (header === 'true') return true;
  return header === 'false' ? false : null;
}
