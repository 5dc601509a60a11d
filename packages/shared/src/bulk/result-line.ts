import { createHash } from 'node:crypto';
import { ERROR_CATALOGUE, type ErrorBody, errorBody } from '../errors.ts';
import type { RowOutput } from '../jobs.ts';
import { embeddingsResponse } from '../openai/embeddings.ts';
import type { BatchEndpoint } from './batch.ts';

/** Where a result belongs. */
export interface LineOrigin {
  /** Of the input, from 1. */
  line: number;
  customId: string | null;
}

/** What the rows of a line came to. */
export interface LineResult {
  model: string;
  variant: string;
  task: string;
  output: RowOutput[];
  usage: { rows: number; tokens: number; failed_rows: number };
}

/** What an answer repeats of its request. */
interface Answered extends LineResult {
  endpoint: BatchEndpoint;
  metadata: Record<string, string>;
}

/**
 * The line of the output file for a request that succeeded, with its newline. It holds nothing that
 * depends on when, where and beside whom the rows ran, so that a second run gives the same bytes.
 */
export function outputLine(origin: LineOrigin, result: Answered): string {
  const { endpoint, usage } = result;
  const body =
    endpoint === '/v1/embeddings'
      ? embeddingsResponse({ ...result, tokens: usage.tokens })
      : jobBody(result);
  return responseLine(origin, 200, body);
}

/** The line of the error file for a request that was refused or failed. */
export function errorLine(origin: LineOrigin, error: ErrorBody): string {
  return responseLine(origin, ERROR_CATALOGUE[error.code].status, { error });
}

/** The line of the error file for a request that was not run. */
export function notRunLine(origin: LineOrigin, code: NotRunCode): string {
  const message = NOT_RUN[code];
  const { line, customId } = origin;
  const id = requestId(origin);
  return `${JSON.stringify({ id, custom_id: customId, line, response: null, error: { code, message } })}\n`;
}

/** Why a row was not run. */
export const NOT_RUN = {
  batch_expired: 'The completion window of the batch ended before this row was run.',
  batch_cancelled: 'The batch was cancelled before this row was run.',
  batch_failed: 'The batch failed before this row was run.',
} as const;
export type NotRunCode = keyof typeof NOT_RUN;

/** The first error among the rows of a request of one row; null when it counts as succeeded. */
export function requestError(output: RowOutput[]): ErrorBody | null {
  const [row, ...more] = output;
  if (row === undefined) return errorBody('internal');
  return more.length === 0 ? (row.error ?? null) : null;
}

function jobBody({ model, variant, task, output, usage, metadata }: Answered): object {
  const status = 'succeeded';
  return { object: 'job', status, model, variant, task, output, error: null, usage, metadata };
}

function responseLine(origin: LineOrigin, status: number, body: object): string {
  const id = requestId(origin);
  const { line, customId } = origin;
  const response = { status_code: status, request_id: id, body };
  return `${JSON.stringify({ id, custom_id: customId, line, response, error: null })}\n`;
}

/** The same for the same line, so that it tells requests apart and runs not. */
function requestId({ line, customId }: LineOrigin): string {
  const hash = createHash('sha256')
    .update(`${line}\n${customId ?? ''}`)
    .digest('hex');
  return `batch_req_${hash.slice(0, 24)}`;
}
