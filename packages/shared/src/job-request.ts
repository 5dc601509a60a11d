import { z } from 'zod';
import { AppError } from './errors.ts';
import { invalidRequest } from './invalid-request.ts';
import { PRIORITIES, type RowInput } from './queues.ts';
import { JobWebhookSchema } from './webhooks/webhook-target.ts';

const Pair = z.strictObject({ text: z.string(), text_pair: z.string().nullable().optional() });
const TokenIds = z
  // One check for all of them: half a million wrong ones must not make as many complaints.
  .custom<number[]>(isTokenIds, 'must be a list of token ids, whole numbers from 0 to 2147483647')
  .meta({ type: 'array', items: { type: 'integer', minimum: 0, maximum: 2 ** 31 - 1 } });
const Ids = z.strictObject({ ids: TokenIds });
const Row = z.union([z.string(), Pair, Ids]);
/** A row, or a list of rows. */
export const JobInputSchema = z.union([Row, z.array(Row)]);

export const MetadataSchema = z
  .record(z.string().min(1).max(64), z.string().max(512))
  .refine((pairs) => Object.keys(pairs).length <= 16, 'must have at most 16 pairs')
  .default({});

/** The body of `POST /v1/jobs`. Limits that are settable are checked in `prepareRows`. */
export const JobRequestSchema = z
  .strictObject({
    model: z.string().max(128).nullable().default(null).describe('name or name@version'),
    input: JobInputSchema.describe(
      'A text, {"text","text_pair"}, {"ids"} (tokenized already), or a list of up to 2,048 of these.',
    ),
    parameters: z.record(z.string(), z.unknown()).default({}).describe('Depends on the task.'),
    priority: z.enum(PRIORITIES).default('normal'),
    ttl_s: z.int().min(1).max(604_800).default(86_400).describe('Expires if not started in time.'),
    timeout_s: z.int().min(1).max(3_600).default(30).describe('Fails if a run takes longer.'),
    webhook: JobWebhookSchema.nullable().optional(),
    metadata: MetadataSchema,
  })
  .meta({ id: 'JobRequest' });
export type JobRequest = z.infer<typeof JobRequestSchema>;

export interface RowLimits {
  maxRows: number;
  maxRowCharacters: number;
}

/**
 * Checks a parsed body. A list that is too long is refused before its rows are looked at, since the
 * report of a million wrong rows would cost more than the request.
 * @throws AppError `too_many_rows` or `invalid_request`, with `param`
 */
export function parseJobRequest(body: unknown, maxRows: number): JobRequest {
  if (typeof body === 'object' && body !== null && 'input' in body && Array.isArray(body.input)) {
    checkRowCount(body.input.length, maxRows);
  }
  const parsed = JobRequestSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw invalidRequest(parsed.error);
}

/** Whether a value is a list of numbers that could be ids of some vocabulary. */
export function isTokenIds(value: unknown): value is number[] {
  return (
    Array.isArray(value) && value.every((id) => Number.isInteger(id) && id >= 0 && id < 2 ** 31)
  );
}

/** @throws AppError `too_many_rows` */
export function checkRowCount(rows: number, maxRows: number): void {
  if (rows <= maxRows) return;
  throw new AppError('too_many_rows', {
    message: `input has ${rows} rows, the limit is ${maxRows}`,
    param: 'input',
  });
}

/**
 * The rows of a request: control characters (C0 except tab and newline) removed, lone surrogates
 * replaced.
 * @throws AppError `too_many_rows`, `text_too_long`, `empty_text` or `invalid_request`, with `param`
 */
export function prepareRows(
  input: JobRequest['input'],
  pairs: boolean,
  limits: RowLimits,
): RowInput[] {
  if (!Array.isArray(input)) return [prepareRow(input, 'input', { pairs, ...limits })];
  if (input.length === 0) {
    throw new AppError('invalid_request', { message: 'input has no rows', param: 'input' });
  }
  checkRowCount(input.length, limits.maxRows);
  return input.map((row, i) => prepareRow(row, `input[${i}]`, { pairs, ...limits }));
}

function prepareRow(
  row: z.infer<typeof Row>,
  param: string,
  options: RowLimits & { pairs: boolean },
): RowInput {
  if (typeof row === 'string') {
    return { text: cleanText(row, param, options.maxRowCharacters), text_pair: null };
  }
  if ('ids' in row) return { ids: checkIds(row.ids, `${param}.ids`, options.maxRowCharacters) };
  const text = cleanText(row.text, `${param}.text`, options.maxRowCharacters);
  if (row.text_pair === null || row.text_pair === undefined) return { text, text_pair: null };
  if (!options.pairs) {
    throw new AppError('invalid_request', {
      message: `${param}.text_pair is given, but the model takes single texts`,
      param: `${param}.text_pair`,
    });
  }
  return {
    text,
    text_pair: cleanText(row.text_pair, `${param}.text_pair`, options.maxRowCharacters),
  };
}

function checkIds(ids: number[], param: string, most: number): number[] {
  if (ids.length === 0) throw new AppError('empty_text', { message: `${param} is empty`, param });
  if (ids.length <= most) return ids;
  throw new AppError('text_too_long', {
    message: `${param} has ${ids.length} ids, the limit is ${most}`,
    param,
  });
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must go
const CONTROL = /[\u0000-\u0008\u000b-\u001f]/g;

function cleanText(text: string, param: string, maxCharacters: number): string {
  if (text.length > maxCharacters) {
    throw new AppError('text_too_long', {
      message: `${param} has ${text.length} characters, the limit is ${maxCharacters}`,
      param,
    });
  }
  const clean = text.replace(CONTROL, '').toWellFormed();
  if (clean.trim() === '') {
    throw new AppError('empty_text', { message: `${param} is empty`, param });
  }
  return clean;
}
