import { AppError } from '@headrace/shared/errors.ts';
import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import { checkRowCount, JobRequestSchema } from '@headrace/shared/job-request.ts';
import type { RowOutput } from '@headrace/shared/jobs.ts';
import {
  type EmbeddingsRequest,
  EmbeddingsRequestSchema,
  EmbeddingsResponseSchema,
  embeddingsInput,
  embeddingsResponse,
} from '@headrace/shared/openai/embeddings.ts';
import { z } from '@hono/zod-openapi';
import type { AppDeps } from '../app.ts';
import { AWAITED_ERRORS, awaitOutput } from '../await-output.ts';
import { answerJson } from '../middleware/answer.ts';
import { callerOf } from '../middleware/caller.ts';
import { ONCE_HEADER, onceOf } from '../middleware/idempotency.ts';
import { readJson } from '../middleware/json-body.ts';
import { expectNoQuery } from '../middleware/query.ts';
import { type ApiApp, addRoute, json } from '../routes/add-route.ts';

/** `POST /v1/embeddings` as the clients of OpenAI call it. */
export function addOpenAiEmbeddings(app: ApiApp, deps: AppDeps): void {
  const { models, limits } = deps;
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/embeddings',
      access: 'jobs',
      summary: "Embed texts and wait for the vectors, as OpenAI's clients ask for them",
      tags: ['OpenAI'],
      request: {
        headers: z.object(ONCE_HEADER),
        body: {
          required: true,
          content: { 'application/json': { schema: EmbeddingsRequestSchema } },
        },
      },
      answers: { 200: json('A vector for each text.', EmbeddingsResponseSchema) },
      errors: AWAITED_ERRORS,
    },
    async (c) => {
      expectNoQuery(c);
      const body = parseBody(await readJson(c, limits), limits.maxRows);
      const model = models.resolve(body.model);
      if (model.task.name !== 'embeddings') {
        const message = `model: ${model.ref} gives no embeddings`;
        throw new AppError('invalid_request', { message, param: 'model' });
      }
      const options = { waitMs: limits.maxWaitS * 1000, signal: c.req.raw.signal };
      const caller = callerOf(c);
      const request = jobRequest(body, limits.maxRows);
      const once = onceOf(c, 'embeddings', body);
      const submission = { tenant: caller.tenant, caller, request, once };
      const { job, headers } = await namingFields(awaitOutput(deps, submission, options));
      const { id, output, usage } = job;
      refuseFailedRow(id, output);
      const rows = body.encoding_format === 'float' ? output.map(withNumbers) : output;
      const result = { model: model.ref, output: rows, tokens: usage?.tokens ?? 0 };
      return answerJson(c, embeddingsResponse(result), { headers });
    },
  );
}

/** A list that is too long is refused before anything else is looked at. */
function parseBody(body: unknown, maxRows: number): EmbeddingsRequest {
  const parsed = EmbeddingsRequestSchema.safeParse(body);
  if (!parsed.success) throw invalidRequest(parsed.error);
  const { input } = parsed.data;
  if (Array.isArray(input) && typeof input[0] !== 'number') checkRowCount(input.length, maxRows);
  return parsed.data;
}

/** The vectors travel as base64: a third of the bytes that numbers take as text. */
function jobRequest({ model, input, dimensions, overflow }: EmbeddingsRequest, maxRows: number) {
  return {
    ...JobRequestSchema.parse({ model, input: '' }),
    input: embeddingsInput(input, maxRows),
    parameters: { dimensions, overflow, encoding_format: 'base64' },
  };
}

/** What a submission says of its `parameters` is said of this route's own fields. */
async function namingFields<T>(submitted: Promise<T>): Promise<T> {
  try {
    return await submitted;
  } catch (error) {
    if (!(error instanceof AppError) || error.param === null) throw error;
    const plain = (name: string) => name.replace(/^parameters\./, '').replace(/\.ids\b/, '');
    const details = { message: plain(error.message), param: plain(error.param), cause: error };
    throw new AppError(error.code, details);
  }
}

/** The clients of OpenAI know no list with holes: one row that failed fails the request. */
function refuseFailedRow(jobId: string, output: RowOutput[]): void {
  const at = output.findIndex(({ error }) => error !== undefined);
  const error = output[at]?.error;
  if (error === undefined) return;
  const param = `input[${at}]`;
  throw new AppError(error.code, { message: `${param}: ${error.message}`, param, jobId });
}

/** @param row with its vector as base64 of little-endian float32 */
function withNumbers(row: RowOutput): RowOutput {
  if (typeof row.embedding !== 'string') return row;
  const bytes = Buffer.from(row.embedding, 'base64');
  const numbers = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
  return { ...row, embedding: numbers };
}
