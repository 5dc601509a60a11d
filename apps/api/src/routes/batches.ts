import { BATCH_ENDPOINTS, BatchSchema } from '@headrace/shared/bulk/batch.ts';
import { integer } from '@headrace/shared/env.ts';
import { isBatchId } from '@headrace/shared/ids.ts';
import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import { MetadataSchema } from '@headrace/shared/job-request.ts';
import { z } from '@hono/zod-openapi';
import type { AppDeps } from '../app.ts';
import { answerJson } from '../middleware/answer.ts';
import { readJson } from '../middleware/json-body.ts';
import { expectNoQuery, parseQuery } from '../middleware/query.ts';
import { tenantOf } from '../middleware/tenant.ts';
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
const BatchRequestSchema = z
  .strictObject({
    input_file_id: z.string().describe('A file of requests, one JSON object a line.'),
    endpoint: z.enum(BATCH_ENDPOINTS),
    completion_window: z.string().describe('Hours or days from 1h to 7d; what is late expires.'),
    metadata: MetadataSchema,
  })
  .meta({ id: 'BatchRequest' });
const ListQuery = z.strictObject({
  limit: integer(1, 100)
    .default(20)
    .openapi({ type: 'integer', minimum: 1, maximum: 100, default: 20 }),
  after: z.string().refine(isBatchId, 'must be the id of a batch').optional(),
});
const REDIS_ERRORS = ['redis_unavailable', 'storage_nearly_full'] as const;

export function addBatchRoutes(app: ApiApp, deps: AppDeps): void {
  addCreate(app, deps);
  addList(app, deps);
  addRead(app, deps);
  addSteering(app, deps);
}

function addCreate(app: ApiApp, { batches, limits }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/batches',
      summary: 'Score a file of requests',
      tags: TAGS,
      request: {
        body: { required: true, content: { 'application/json': { schema: BatchRequestSchema } } },
      },
      answers: { 200: json('The batch.', BatchSchema) },
      errors: [
        ...(['invalid_request', 'not_found', 'body_too_large', 'unsupported_media_type'] as const),
        ...REDIS_ERRORS,
      ],
    },
    async (c) => {
      expectNoQuery(c);
      const parsed = BatchRequestSchema.safeParse(await readJson(c, limits));
      if (!parsed.success) throw invalidRequest(parsed.error);
      return answerJson(c, await batches.create(tenantOf(c), parsed.data));
    },
  );
}

function addList(app: ApiApp, { batches }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/batches',
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
