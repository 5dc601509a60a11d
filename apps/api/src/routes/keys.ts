import { DEFAULT_TENANT, RateLimitSchema, SCOPES, TenantName } from '@headrace/shared/api-keys.ts';
import { integer } from '@headrace/shared/env.ts';
import { isKeyId } from '@headrace/shared/ids.ts';
import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import { z } from '@hono/zod-openapi';
import type { AppDeps } from '../app.ts';
import { answerJson } from '../middleware/answer.ts';
import { readJson } from '../middleware/json-body.ts';
import { expectNoQuery, parseQuery } from '../middleware/query.ts';
import { type ApiApp, addRoute, json } from './add-route.ts';

const TAGS = ['Keys'];
const MAX_UNIX_S = 253_402_300_799;
const KeyParams = z.object({ id: z.string().openapi({ example: 'key_…' }) });

const KeyRequest = z
  .strictObject({
    name: z
      .string()
      .regex(/^[^\p{C}\p{Zl}\p{Zp}]{1,100}$/u, 'must be 1 to 100 printable characters')
      .describe('For people: what the key is for.'),
    tenant: TenantName.default(DEFAULT_TENANT),
    scopes: z
      .array(z.enum(SCOPES))
      .min(1)
      .max(SCOPES.length)
      .transform((scopes) => [...new Set(scopes)])
      .openapi({ type: 'array', items: { type: 'string', enum: [...SCOPES] } })
      .describe('`admin` is for keys and tenants, of all tenants, and includes no other scope.'),
    rate_limit: RateLimitSchema.nullable()
      .default(null)
      .describe('Of this key; null: as configured.'),
    expires_at: z.int().min(0).max(MAX_UNIX_S).nullable().default(null),
  })
  .meta({ id: 'KeyRequest' });
export type KeyRequest = z.input<typeof KeyRequest>;

const KeyFields = z.object({
  id: z.string(),
  object: z.literal('key'),
  tenant: z.string(),
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  rate_limit: RateLimitSchema.nullable(),
  created_at: z.int(),
  expires_at: z.int().nullable(),
  last_used_at: z.int().nullable().describe('Exact to about a minute.'),
  revoked_at: z.int().nullable(),
});
const KeySchema = KeyFields.meta({ id: 'Key' });
const NewKey = KeyFields.extend({
  secret: z.string().describe('`hr_<key id>_<secret>`, to be sent as Bearer. Shown only here.'),
}).meta({ id: 'NewKey' });
const KeyList = z
  .object({
    object: z.literal('list'),
    data: z.array(KeySchema),
    has_more: z.boolean(),
    first_id: z.string().nullable(),
    last_id: z.string().nullable().describe('Goes on from here as `after`.'),
  })
  .meta({ id: 'KeyList' });
const ListQuery = z.strictObject({
  limit: integer(1, 100)
    .default(20)
    .openapi({ type: 'integer', minimum: 1, maximum: 100, default: 20 }),
  after: z.string().refine(isKeyId, 'must be the id of a key').optional(),
});
const REDIS_ERRORS = ['redis_unavailable', 'storage_nearly_full'] as const;

/** Keys of all tenants, for admins. */
export function addKeyRoutes(app: ApiApp, deps: AppDeps): void {
  addCreate(app, deps);
  addList(app, deps);
  addRead(app, deps);
  addRevoke(app, deps);
}

function addCreate(app: ApiApp, { keys, limits }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/keys',
      access: 'admin',
      summary: 'Create an API key; the first one makes the server demand keys',
      tags: TAGS,
      request: {
        body: { required: true, content: { 'application/json': { schema: KeyRequest } } },
      },
      answers: { 201: json('The key with its secret.', NewKey) },
      errors: ['invalid_request', 'body_too_large', 'unsupported_media_type', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      const parsed = KeyRequest.safeParse(await readJson(c, limits));
      if (!parsed.success) throw invalidRequest(parsed.error);
      return answerJson(c, await keys.create(parsed.data), { status: 201 });
    },
  );
}

function addList(app: ApiApp, { keys }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/keys',
      access: 'admin',
      summary: 'List API keys, newest first',
      tags: TAGS,
      request: { query: ListQuery },
      answers: { 200: json('A page of keys.', KeyList) },
      errors: ['invalid_request', ...REDIS_ERRORS],
    },
    async (c) => {
      const { after = null, limit } = parseQuery(c, ListQuery);
      return answerJson(c, { object: 'list', ...(await keys.list(after, limit)) });
    },
  );
}

function addRead(app: ApiApp, { keys }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/keys/{id}',
      access: 'admin',
      summary: 'An API key, without its secret',
      tags: TAGS,
      request: { params: KeyParams },
      answers: { 200: json('The key.', KeySchema) },
      errors: ['invalid_request', 'not_found', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      return answerJson(c, await keys.get(c.req.param('id') ?? ''));
    },
  );
}

function addRevoke(app: ApiApp, { keys }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/keys/{id}/revoke',
      access: 'admin',
      summary: 'Revoke an API key; every process refuses it within 10 s',
      tags: TAGS,
      request: { params: KeyParams },
      answers: { 200: json('The key as it is now.', KeySchema) },
      errors: ['invalid_request', 'not_found', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      return answerJson(c, await keys.revoke(c.req.param('id') ?? ''));
    },
  );
}
