import { z } from 'zod';
import { AppError, type ErrorBody } from '../errors.ts';
import { checkRowCount, isTokenIds, type JobRequest } from '../job-request.ts';
import type { RowOutput } from '../jobs.ts';
import { TaskOverflow } from '../tasks/task.ts';

const IDS = { type: 'array', items: { type: 'integer' } } as const;
const TEXT = { type: 'string' } as const;
const NO_INPUT = 'must be a string or a list of token ids from 0 to 2147483647';

/** The body of `POST /v1/embeddings`, the same on its own and as a line of a batch. */
export const EmbeddingsRequestSchema = z
  .strictObject({
    model: z.string().max(128),
    input: z
      .unknown()
      .nonoptional(NO_INPUT)
      .meta({ oneOf: [TEXT, { type: 'array', items: TEXT }, IDS, { type: 'array', items: IDS }] })
      .describe('A text, the token ids of one, or a list of up to 2,048 of either.'),
    encoding_format: z.enum(['float', 'base64']).default('float'),
    dimensions: z.int().min(1).nullable().default(null),
    overflow: TaskOverflow.default('truncate').describe('A text over max_tokens of the model.'),
    user: z.string().optional().describe('Not used.'),
  })
  .meta({ id: 'EmbeddingsRequest' });
export type EmbeddingsRequest = z.infer<typeof EmbeddingsRequestSchema>;

/**
 * The rows of a request. What they hold is checked later, by `prepareRows`.
 * @throws AppError `invalid_request` or `too_many_rows`, with `param`
 */
export function embeddingsInput(input: unknown, maxRows: number): JobRequest['input'] {
  if (typeof input === 'string') return input;
  if (!Array.isArray(input)) throw notAnInput('input');
  if (isIds(input)) return { ids: input };
  checkRowCount(input.length, maxRows);
  return input.map((row: unknown, i) => {
    if (typeof row === 'string') return row;
    if (Array.isArray(row) && isTokenIds(row)) return { ids: row };
    throw notAnInput(`input[${i}]`);
  });
}

/** A list of ids, and not one that begins with an id: what is wrong with that is said elsewhere. */
function isIds(input: unknown[]): input is number[] {
  return input.length > 0 && isTokenIds(input);
}

function notAnInput(param: string): AppError {
  const message = `${param}: ${NO_INPUT}`;
  return new AppError('invalid_request', { message, param });
}

const Entry = z.union([
  z.object({
    object: z.literal('embedding'),
    index: z.int(),
    embedding: z.union([z.array(z.number()), z.string()]),
    truncated: z.boolean().describe('The text had more tokens than the model takes.'),
  }),
  z.object({ object: z.literal('error'), index: z.int(), error: z.unknown() }),
]);
export const EmbeddingsResponseSchema = z
  .object({
    object: z.literal('list'),
    data: z.array(Entry),
    model: z.string(),
    usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
  })
  .meta({ id: 'EmbeddingsResponse' });
export type EmbeddingsResponse = z.infer<typeof EmbeddingsResponseSchema>;

interface EmbeddingsResult {
  model: string;
  output: RowOutput[];
  /** Tokens that were run. */
  tokens: number;
}

/** The answer of OpenAI's embeddings route; a row that failed has its error in its place. */
export function embeddingsResponse({
  model,
  output,
  tokens,
}: EmbeddingsResult): EmbeddingsResponse {
  return {
    object: 'list',
    data: output.map(entry),
    model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

function entry({ embedding, truncated, error }: RowOutput, index: number) {
  if (error !== undefined) return { object: 'error' as const, index, error: error as ErrorBody };
  return { object: 'embedding' as const, index, embedding: embedding ?? [], truncated };
}
