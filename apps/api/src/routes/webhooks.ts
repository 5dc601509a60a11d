import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import { DeliveryDetailSchema } from '@headrace/shared/webhooks/delivery.ts';
import { EndpointSchema } from '@headrace/shared/webhooks/endpoint-store.ts';
import { WebhookUrlSchema } from '@headrace/shared/webhooks/webhook-target.ts';
import { z } from '@hono/zod-openapi';
import type { AppDeps } from '../app.ts';
import { answer, answerJson } from '../middleware/answer.ts';
import { tenantOf } from '../middleware/caller.ts';
import { readJson } from '../middleware/json-body.ts';
import { expectNoQuery } from '../middleware/query.ts';
import { type ApiApp, addRoute, json } from './add-route.ts';
import { addDeliveryRoutes } from './webhook-deliveries.ts';

const TAGS = ['Webhooks'];
const REDIS_ERRORS = ['redis_unavailable', 'storage_nearly_full'] as const;
const BODY_ERRORS = ['invalid_request', 'body_too_large', 'unsupported_media_type'] as const;

const SecretSchema = z
  .object({
    id: z.string(),
    object: z.literal('webhook.secret'),
    created_at: z.number(),
    expires_at: z.number().nullable().describe('Set once a newer one has taken its place.'),
  })
  .meta({ id: 'WebhookSecret' });
const NewSecretSchema = SecretSchema.extend({
  secret: z.string().describe('`whsec_…`; it is not shown again.'),
}).meta({ id: 'NewWebhookSecret' });
const RotationSchema = z
  .strictObject({
    overlap_s: z
      .int()
      .min(0)
      .max(7 * 86_400)
      .default(86_400)
      .describe(
        'How long the secret before stays good; callbacks are signed with both meanwhile. No more ' +
          'than two are good: to rotate again meanwhile ends the older one at once.',
      ),
  })
  .meta({ id: 'WebhookSecretRequest' });
const TestSchema = z.strictObject({ url: WebhookUrlSchema }).meta({ id: 'WebhookTestRequest' });
const SecretList = z
  .object({ object: z.literal('list'), data: z.array(SecretSchema) })
  .meta({ id: 'WebhookSecretList' });
const EndpointList = z
  .object({ object: z.literal('list'), data: z.array(EndpointSchema) })
  .meta({ id: 'WebhookEndpointList' });

export function addWebhookRoutes(app: ApiApp, deps: AppDeps): void {
  addDeliveryRoutes(app, deps);
  addTest(app, deps);
  addSecrets(app, deps);
  addEndpoints(app, deps);
}

function addTest(app: ApiApp, { webhooks, limits }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/webhooks/test',
      access: 'webhooks',
      summary: 'Send a test event to a URL; its delivery tells what came of it',
      tags: TAGS,
      request: {
        body: { required: true, content: { 'application/json': { schema: TestSchema } } },
      },
      answers: { 202: json('The delivery.', DeliveryDetailSchema) },
      errors: [...BODY_ERRORS, ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      const parsed = TestSchema.safeParse(await readJson(c, limits));
      if (!parsed.success) throw invalidRequest(parsed.error);
      const delivery = await webhooks.test(tenantOf(c), parsed.data.url);
      return answerJson(c, delivery, { status: 202 });
    },
  );
}

function addSecrets(app: ApiApp, { webhooks, limits }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/webhooks/secrets',
      access: 'webhooks',
      summary: 'The secrets that callbacks are signed with, without the secrets themselves',
      tags: TAGS,
      answers: { 200: json('One or two; none before the first is made.', SecretList) },
      errors: ['invalid_request', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      return answerJson(c, { object: 'list', data: await webhooks.secrets(tenantOf(c)) });
    },
  );
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/webhooks/secrets',
      access: 'webhooks',
      summary: 'Make a secret, or rotate it; two are good meanwhile',
      tags: TAGS,
      request: {
        body: { required: true, content: { 'application/json': { schema: RotationSchema } } },
      },
      answers: { 200: json('The new secret, shown this once.', NewSecretSchema) },
      errors: [...BODY_ERRORS, ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      const parsed = RotationSchema.safeParse(await readJson(c, limits));
      if (!parsed.success) throw invalidRequest(parsed.error);
      return answerJson(c, await webhooks.rotateSecret(tenantOf(c), parsed.data.overlap_s));
    },
  );
}

function addEndpoints(app: ApiApp, { webhooks }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/webhooks/endpoints',
      access: 'webhooks',
      summary: 'URLs that get no callbacks for 90 days: they answered 410, or failed for days',
      tags: TAGS,
      answers: {
        200: json(
          'The last 1,000 that were disabled, newest first; others take calls again.',
          EndpointList,
        ),
      },
      errors: ['invalid_request', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      return answerJson(c, { object: 'list', data: await webhooks.endpoints(tenantOf(c)) });
    },
  );
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/webhooks/endpoints/{id}/enable',
      access: 'webhooks',
      summary: 'Let a URL have callbacks again; what it missed can be redelivered',
      tags: TAGS,
      request: { params: z.object({ id: z.string().openapi({ example: 'whe_…' }) }) },
      answers: { 204: { description: 'It is enabled.' } },
      errors: ['invalid_request', 'not_found', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      await webhooks.enable(tenantOf(c), c.req.param('id') ?? '');
      return answer(c, null, { status: 204 });
    },
  );
}
