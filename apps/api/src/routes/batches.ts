import { BatchSchema } from '@headrace/shared/bulk/batch.ts';
import { integer } from '@headrace/shared/env.ts';
import { isBatchId } from '@headrace/shared/ids.ts';
import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { AppDeps } from '../app.ts';
import type { NewView } from '../batch-creation.ts';
import { BatchRequestSchema } from '../batch-request.ts';
import { answerJson } from '../middleware/answer.ts';
import type { ApiEnv } from '../middleware/api-env.ts';
import { callerOf, tenantOf } from '../middleware/caller.ts';
import { ONCE_HEADER, onceOf, REPLAYED } from '../middleware/idempotency.ts';
import { readJson } from '../middleware/json-body.ts';
import { expectNoQuery, parseQuery } from '../middleware/query.ts';
import { type ApiApp, addRoute, json } from './add-route.ts';

const TAGS = ['Batches'];
const BatchParams = z.object({ id: z.string().openapi({ example: 'batch_…' }) });
const BatchList = z
  .object({
    object: z.literal('list'),
    data: z.array(BatchSchema),
    has_more: z.boolean(),
    first_id: z.string().nullable(),
    last_id: z.string().nullable().describe('Goes on from here as `after`.'),
  })
  .meta({ id: 'BatchList' });
const ListQuery = z.strictObject({
  limit: integer(1, 100)
    .default(20)
    .openapi({ type: 'integer', minimum: 1, maximum: 100, default: 20 }),
  after: z.string().refine(isBatchId, 'must be the id of a batch').optional(),
});
const ResultsQuery = z.strictObject({
  limit: integer(1, 1_000)
    .default(100)
    .openapi({ type: 'integer', minimum: 1, maximum: 1_000, default: 100 }),
  after: z.string().max(64).optional().describe('The `next` of a page before.'),
  kind: z.enum(['output', 'errors']).default('output'),
});
const BatchResults = z
  .object({
    object: z.literal('list'),
    data: z.array(z.unknown()).describe('Lines of the output, in the order of the input.'),
    has_more: z.boolean(),
    next: z.string().describe('Goes on from here as `after`, also when there is nothing yet.'),
    finished: z.boolean().describe('No more rows will come.'),
  })
  .meta({ id: 'BatchResults' });
const REDIS_ERRORS = ['redis_unavailable', 'storage_nearly_full'] as const;
const CREATE_ERRORS = ['overloaded', 'idempotency_mismatch', ...REDIS_ERRORS] as const;

export function addBatchRoutes(app: ApiApp, deps: AppDeps): void {
  addCreate(app, deps);
  addList(app, deps);
  addRead(app, deps);
  addResults(app, deps);
  addSteering(app, deps);
  addRetry(app, deps);
}

function addCreate(app: ApiApp, { batches, limits }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/batches',
      access: 'batches',
      summary: 'Score a file of requests, or of documents',
      tags: TAGS,
      request: {
        headers: z.object(ONCE_HEADER),
        body: { required: true, content: { 'application/json': { schema: BatchRequestSchema } } },
      },
      answers: { 200: json('The batch.', BatchSchema) },
      errors: [
        ...(['invalid_request', 'not_found', 'model_not_found', 'body_too_large'] as const),
        'unsupported_media_type',
        ...CREATE_ERRORS,
      ],
    },
    async (c) => {
      expectNoQuery(c);
      const parsed = BatchRequestSchema.safeParse(await readJson(c, limits));
      if (!parsed.success) throw invalidRequest(parsed.error);
      const once = onceOf(c, 'batches', parsed.data);
      return answerNew(c, await batches.create(callerOf(c), parsed.data, once));
    },
  );
}

function answerNew(c: Context<ApiEnv>, { batch, replayed }: NewView): Response {
  return answerJson(c, batch, { headers: replayed ? REPLAYED : {} });
}

function addList(app: ApiApp, { batches }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/batches',
      access: 'batches',
      summary: 'List batches, newest first',
      tags: TAGS,
      request: { query: ListQuery },
      answers: { 200: json('A page of batches.', BatchList) },
      errors: ['invalid_request', ...REDIS_ERRORS],
    },
    async (c) => {
      const { after = null, limit } = parseQuery(c, ListQuery);
      const page = await batches.list(tenantOf(c), after, limit);
      return answerJson(c, { object: 'list', ...page });
    },
  );
}

function addRead(app: ApiApp, { batches }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/batches/{id}',
      access: 'batches',
      summary: 'A batch and how far it has come',
      tags: TAGS,
      request: { params: BatchParams },
      answers: { 200: json('The batch.', BatchSchema) },
      errors: ['invalid_request', 'not_found', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      return answerJson(c, await batches.get(tenantOf(c), c.req.param('id') ?? ''));
    },
  );
}

function addResults(app: ApiApp, { batches }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/batches/{id}/results',
      access: 'batches',
      summary: 'The rows of a batch that have finished, also while it runs',
      tags: TAGS,
      request: { params: BatchParams, query: ResultsQuery },
      answers: { 200: json('A page of rows.', BatchResults) },
      errors: ['invalid_request', 'not_found', 'storage_unavailable', ...REDIS_ERRORS],
    },
    async (c) => {
      const { after = null, limit, kind } = parseQuery(c, ResultsQuery);
      const id = c.req.param('id') ?? '';
      const page = await batches.results(tenantOf(c), id, { after, limit, kind });
      return answerJson(c, { object: 'list', ...page });
    },
  );
}

function addRetry(app: ApiApp, { batches }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/batches/{id}/retry',
      access: 'batches',
      summary: 'Run the rows of a finished batch that failed, as a new batch',
      tags: TAGS,
      request: { params: BatchParams, headers: z.object(ONCE_HEADER) },
      answers: { 200: json('The new batch.', BatchSchema) },
      errors: ['invalid_request', 'not_found', 'batch_not_finished', ...CREATE_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      const id = c.req.param('id') ?? '';
      return answerNew(c, await batches.retry(callerOf(c), id, onceOf(c, 'batches/retry', id)));
    },
  );
}

function addSteering(app: ApiApp, { batches }: AppDeps): void {
  const actions = {
    cancel: { summary: 'Cancel a batch; what has finished stays', act: batches.cancel },
    pause: {
      summary: 'Begin no more of a batch until it is resumed',
      act: (tenant: string, id: string) => batches.pause(tenant, id, true),
    },
    resume: {
      summary: 'Go on with a batch that was paused',
      act: (tenant: string, id: string) => batches.pause(tenant, id, false),
    },
  };
  for (const [name, { summary, act }] of Object.entries(actions)) {
    addRoute(
      app,
      {
        method: 'post',
        path: `/v1/batches/{id}/${name}`,
        access: 'batches',
        summary,
        tags: TAGS,
        request: { params: BatchParams },
        answers: { 200: json('The batch as it is now.', BatchSchema) },
        errors: ['invalid_request', 'not_found', 'batch_not_running', ...REDIS_ERRORS],
      },
      async (c) => {
        expectNoQuery(c);
        return answerJson(c, await act(tenantOf(c), c.req.param('id') ?? ''));
      },
    );
  }
}
