import { z } from 'zod';
import { AppError, errorBody } from '../errors.ts';
import { invalidRequest } from '../invalid-request.ts';
import { JobInputSchema, MetadataSchema, prepareRows } from '../job-request.ts';
import type { ServedModel } from '../model-catalogue.ts';
import { EmbeddingsRequestSchema, embeddingsInput } from '../openai/embeddings.ts';
import type { BatchEndpoint } from './batch.ts';
import type { BatchLines } from './batch-lines.ts';
import { lineJson, ROW_LIMITS, refuse } from './line-json.ts';
import { errorLine, type LineOrigin, notRunLine, outputLine, requestError } from './result-line.ts';

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

export interface RequestLinesOptions {
  endpoint: BatchEndpoint;
  /** The model that a line names. @throws AppError for one that the batch must not name */
  resolve: (name: string) => ServedModel;
}

/** Lines as those of OpenAI's Batch API: a request each, its answer or its error in return. */
export function createRequestLines(options: RequestLinesOptions): BatchLines {
  const { endpoint } = options;
  return {
    uniqueIds: true,

    read(line) {
      const origin: LineOrigin = { line: line.number, customId: null };
      try {
        const request = checked(RequestLine, lineJson(line));
        origin.customId = request.custom_id;
        if (request.url !== endpoint) throw refuse('url', `must be ${endpoint}`);
        const schema: z.ZodType<RequestBody> = BODIES[endpoint];
        const body = checked(schema, request.body, ['body']);
        return { origin, metadata: body.metadata, columns: {}, ...prepare(body, options) };
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        return { origin, error: errorBody(error.code, error.message, error.param), columns: {} };
      }
    },

    succeeded({ origin, metadata }, result) {
      const error = requestError(result.output);
      if (error !== null) return { output: null, errors: errorLine(origin, error) };
      return { output: outputLine(origin, { ...result, endpoint, metadata }), errors: null };
    },

    failed: ({ origin, error }) => ({ output: null, errors: errorLine(origin, error) }),

    notRun: notRunLine,

    idOf(line) {
      try {
        return checked(RequestLine, lineJson(line)).custom_id;
      } catch (error) {
        if (error instanceof AppError) return null;
        throw error;
      }
    },
  };
}

function prepare(body: RequestBody, options: RequestLinesOptions) {
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

function checked<T>(schema: z.ZodType<T>, value: unknown, prefix: string[] = []): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidRequest(parsed.error, prefix);
}
