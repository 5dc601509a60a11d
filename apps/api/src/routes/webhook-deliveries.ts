import { integer } from '@headrace/shared/env.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { isBatchId, isDeliveryId, isJobId } from '@headrace/shared/ids.ts';
import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import {
  DELIVERY_STATUSES,
  DeliveryDetailSchema,
  DeliverySchema,
} from '@headrace/shared/webhooks/delivery.ts';
import { z } from '@hono/zod-openapi';
import type { AppDeps } from '../app.ts';
import { answerJson } from '../middleware/answer.ts';
import { tenantOf } from '../middleware/caller.ts';
import { readJson } from '../middleware/json-body.ts';
import { expectNoQuery, parseQuery } from '../middleware/query.ts';
import type { DeliveryFilter } from '../webhooks.ts';
import { type ApiApp, addRoute, json } from './add-route.ts';

const TAGS = ['Webhooks'];
const REDIS_ERRORS = ['redis_unavailable', 'storage_nearly_full'] as const;
const DeliveryParams = z.object({ id: z.string().openapi({ example: 'whd_…' }) });
const DeliveryList = z
  .object({
    object: z.literal('list'),
    data: z.array(DeliverySchema),
    has_more: z.boolean().describe('Older ones are left to look at; a page may be short or empty.'),
    first_id: z.string().nullable(),
    last_id: z.string().nullable().describe('Goes on from here as `after`.'),
  })
  .meta({ id: 'WebhookDeliveryList' });

const jobId = z.string().refine(isJobId, 'must be the id of a job').optional();
const batchId = z.string().refine(isBatchId, 'must be the id of a batch').optional();
const after = z.string().refine(isDeliveryId, 'must be the id of a delivery').optional();

const ListQuery = z.strictObject({
  job: jobId,
  batch: batchId,
  status: z.enum(DELIVERY_STATUSES).optional(),
  limit: integer(1, 100)
    .default(20)
    .openapi({ type: 'integer', minimum: 1, maximum: 100, default: 20 }),
  after,
});

const RedeliverSchema = z
  .strictObject({
    status: z
      .array(z.enum(DELIVERY_STATUSES))
      .min(1)
      .max(DELIVERY_STATUSES.length)
      .default(['failed', 'disabled'])
      .describe('pending ones are sent at once instead of when they are due.'),
    url: z.string().max(2_048).optional(),
    job: jobId,
    batch: batchId,
    since: z.number().min(0).optional().describe('Unix seconds: those that were made since.'),
    limit: z.int().min(1).max(1_000).default(100),
    after,
  })
  .meta({ id: 'WebhookRedeliverRequest' });
const Redelivered = z
  .object({
    redelivered: z.int(),
    has_more: z.boolean().describe('More may fit: call again with `after`.'),
    last_id: z.string().nullable().describe('Goes on from here as `after`.'),
  })
  .meta({ id: 'WebhookRedelivered' });

export function addDeliveryRoutes(app: ApiApp, deps: AppDeps): void {
  addList(app, deps);
  addRead(app, deps);
  addRedeliver(app, deps);
  addRedeliverAll(app, deps);
}

function addList(app: ApiApp, { webhooks }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/webhooks/deliveries',
      access: 'webhooks',
      summary: 'What was sent, or is to be, newest first',
      tags: TAGS,
      request: { query: ListQuery },
      answers: { 200: json('A page of deliveries.', DeliveryList) },
      errors: ['invalid_request', ...REDIS_ERRORS],
    },
    async (c) => {
      const { job, batch, status, limit, after: from = null } = parseQuery(c, ListQuery);
      const filter: DeliveryFilter = {
        ...{ of: subjectOf(job, batch), url: null, sinceS: null },
        statuses: status === undefined ? null : [status],
      };
      const page = await webhooks.list(tenantOf(c), filter, { limit, after: from });
      return answerJson(c, { object: 'list', ...page });
    },
  );
}

function addRead(app: ApiApp, { webhooks }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/webhooks/deliveries/{id}',
      access: 'webhooks',
      summary: 'A delivery and its attempts',
      tags: TAGS,
      request: { params: DeliveryParams },
      answers: { 200: json('The delivery.', DeliveryDetailSchema) },
      errors: ['invalid_request', 'not_found', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      return answerJson(c, await webhooks.get(tenantOf(c), c.req.param('id') ?? ''));
    },
  );
}

function addRedeliver(app: ApiApp, { webhooks }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/webhooks/deliveries/{id}/redeliver',
      access: 'webhooks',
      summary: 'Send a delivery again, under its webhook-id; one that waits, at once',
      tags: TAGS,
      request: { params: DeliveryParams },
      answers: { 202: json('The delivery.', DeliveryDetailSchema) },
      errors: ['invalid_request', 'not_found', 'delivery_without_body', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      const delivery = await webhooks.redeliver(tenantOf(c), c.req.param('id') ?? '');
      return answerJson(c, delivery, { status: 202 });
    },
  );
}

function addRedeliverAll(app: ApiApp, { webhooks, limits }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/webhooks/deliveries/redeliver',
      access: 'webhooks',
      summary: 'Send those deliveries again that fit, such as all that failed since a time',
      tags: TAGS,
      request: {
        body: { required: true, content: { 'application/json': { schema: RedeliverSchema } } },
      },
      answers: { 202: json('How many are sent again.', Redelivered) },
      errors: [
        ...(['invalid_request', 'body_too_large', 'unsupported_media_type'] as const),
        ...REDIS_ERRORS,
      ],
    },
    async (c) => {
      expectNoQuery(c);
      const parsed = RedeliverSchema.safeParse(await readJson(c, limits));
      if (!parsed.success) throw invalidRequest(parsed.error);
      const { status, url, job, batch, since, limit, after: from = null } = parsed.data;
      const filter = { of: subjectOf(job, batch), statuses: status, url: url ?? null };
      const all = { ...filter, sinceS: since ?? null };
      const sent = await webhooks.redeliverAll(tenantOf(c), all, { limit, after: from });
      return answerJson(c, sent, { status: 202 });
    },
  );
}

/** @throws AppError `invalid_request` for both, of which no delivery is */
function subjectOf(job: string | undefined, batch: string | undefined): string | null {
  if (job === undefined || batch === undefined) return job ?? batch ?? null;
  const message = 'batch: must not be given beside job';
  throw new AppError('invalid_request', { message, param: 'batch' });
}
