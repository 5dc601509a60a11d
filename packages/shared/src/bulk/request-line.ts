import { z } from 'zod';
import { AppError, type ErrorBody, errorBody } from '../errors.ts';
import { invalidRequest } from '../invalid-request.ts';
import { JobInputSchema, MetadataSchema, prepareRows } from '../job-request.ts';
import { checkStructure } from '../json-structure.ts';
import type { ServedModel } from '../model-catalogue.ts';
import { EmbeddingsRequestSchema, embeddingsInput } from '../openai/embeddings.ts';
import type { RowInput } from '../queues.ts';
import type { TaskParameters } from '../tasks/task.ts';
import type { BatchEndpoint } from './batch.ts';
import type { Line } from './lines.ts';
import type { LineOrigin } from './result-line.ts';

/** Longer lines are refused without being looked at. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;
const ROW_LIMITS = { maxRows: 2_048, maxRowCharacters: 100_000 };
const MAX_FIELDS = 2 * ROW_LIMITS.maxRows + 1_024;

const RequestLine = z.strictObject({
  custom_id: z.string().min(1).max(512),
  method: z.literal('POST'),
  url: z.string(),
  body: z.record(z.string(), z.unknown()),
});

/** What both endpoints come to. */
interface RequestBody {
  model: string;
  input: z.infer<typeof JobInputSchema>;
  parameters: Record<string, unknown>;
  metadata: Record<string, string>;
}

const BODIES = {
  '/v1/jobs': z.strictObject({
    model: z.string().max(128),
    input: JobInputSchema,
    parameters: z.record(z.string(), z.unknown()).default({}),
    metadata: MetadataSchema,
  }),
  '/v1/embeddings': EmbeddingsRequestSchema.transform(({ model, input, user, ...parameters }) => ({
    ...{ model, input: embeddingsInput(input, ROW_LIMITS.maxRows), parameters, metadata: {} },
  })),
} satisfies Record<BatchEndpoint, z.ZodType<RequestBody>>;

/** A request of one line, ready to be run. */
export interface BatchRequest {
  origin: LineOrigin;
  /** `name@version` */
  model: string;
  rows: RowInput[];
  parameters: TaskParameters;
  metadata: Record<string, string>;
}

export interface RefusedLine {
  origin: LineOrigin;
  error: ErrorBody;
}

export interface LineOptions {
  endpoint: BatchEndpoint;
  /** The model that a line names. @throws AppError for one that the batch must not name */
  resolve: (name: string) => ServedModel;
}

/** Reads a line of the input of a batch. What is wrong with it never holds the line's text. */
export function parseRequestLine(line: Line, options: LineOptions): BatchRequest | RefusedLine {
  const origin: LineOrigin = { line: line.number, customId: null };
  try {
    const request = checked(RequestLine, parseJson(line.bytes));
    origin.customId = request.custom_id;
    if (request.url !== options.endpoint) throw refuse('url', `must be ${options.endpoint}`);
    const schema: z.ZodType<RequestBody> = BODIES[options.endpoint];
    const body = checked(schema, request.body, ['body']);
    return { origin, metadata: body.metadata, ...prepare(body, options) };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { origin, error: errorBody(error.code, error.message, error.param) };
  }
}

/** The custom_id of a line that is not run; null if it has none. */
export function customIdOf(line: Line): string | null {
  try {
    return checked(RequestLine, parseJson(line.bytes)).custom_id;
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

function prepare(body: RequestBody, options: LineOptions) {
  const model = options.resolve(body.model);
  if (options.endpoint === '/v1/embeddings' && model.task.name !== 'embeddings') {
    throw refuse('body.model', `${model.ref} gives no embeddings`);
  }
  const rows = prepareRows(body.input, model.manifest.pairs, ROW_LIMITS);
  try {
    return { model: model.ref, rows, parameters: model.task.parse(body.parameters) };
  } catch (error) {
    throw error instanceof z.ZodError ? invalidRequest(error, ['body', 'parameters']) : error;
  }
}

/** @throws AppError `invalid_request` */
function parseJson(bytes: Uint8Array | null): unknown {
  if (bytes === null) throw refuse(null, `the line has more than ${MAX_LINE_BYTES} bytes`);
  const text = decode(bytes);
  checkStructure(text, MAX_FIELDS);
  try {
    return JSON.parse(text);
  } catch {
    throw refuse(null, 'the line is not valid JSON');
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw refuse(null, 'the line is not valid UTF-8');
  }
}

function checked<T>(schema: z.ZodType<T>, value: unknown, prefix: string[] = []): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidRequest(parsed.error, prefix);
}

function refuse(param: string | null, problem: string): AppError {
  const message = param === null ? problem : `${param}: ${problem}`;
  return new AppError('invalid_request', { message, param });
}
