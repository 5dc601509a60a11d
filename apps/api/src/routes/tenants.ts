import { TenantLimitsSchema, TenantName } from '@headrace/shared/api-keys.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { AppDeps } from '../app.ts';
import { answer, answerJson } from '../middleware/answer.ts';
import type { ApiEnv } from '../middleware/api-env.ts';
import { readJson } from '../middleware/json-body.ts';
import { expectNoQuery } from '../middleware/query.ts';
import { type ApiApp, addRoute, json } from './add-route.ts';

const TAGS = ['Keys'];
const PATH = '/v1/tenants/{name}';
const TenantParams = z.object({ name: z.string().openapi({ example: 'search' }) });
const TenantRequest = TenantLimitsSchema.extend({
  weight: TenantLimitsSchema.shape.weight.default(1),
  max_rows: TenantLimitsSchema.shape.max_rows.default(null),
}).meta({ id: 'TenantRequest' });
const TenantSchema = z
  .object({ object: z.literal('tenant'), name: z.string(), ...TenantLimitsSchema.shape })
  .meta({ id: 'Tenant' });
const TenantList = z
  .object({ object: z.literal('list'), data: z.array(TenantSchema) })
  .meta({ id: 'TenantList' });
const REDIS_ERRORS = ['redis_unavailable', 'storage_nearly_full'] as const;

/** What tenants may use up; a tenant without limits of its own needs no entry. */
export function addTenantRoutes(app: ApiApp, deps: AppDeps): void {
  addList(app, deps);
  addRead(app, deps);
  addSet(app, deps);
  addReset(app, deps);
}

function addList(app: ApiApp, { keys }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/tenants',
      access: 'admin',
      summary: 'List the tenants that have limits of their own',
      tags: TAGS,
      answers: { 200: json('The tenants by name.', TenantList) },
      errors: ['invalid_request', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      return answerJson(c, { object: 'list', data: await keys.tenants() });
    },
  );
}

function addRead(app: ApiApp, { keys }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: PATH,
      access: 'admin',
      summary: 'The limits of a tenant',
      tags: TAGS,
      request: { params: TenantParams },
      answers: { 200: json('The tenant.', TenantSchema) },
      errors: ['invalid_request', 'not_found', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      return answerJson(c, await keys.tenant(nameOf(c)));
    },
  );
}

function addSet(app: ApiApp, { keys, limits }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'put',
      path: PATH,
      access: 'admin',
      summary: 'Set the limits of a tenant; they hold within 10 s',
      tags: TAGS,
      request: {
        params: TenantParams,
        body: { required: true, content: { 'application/json': { schema: TenantRequest } } },
      },
      answers: { 200: json('The tenant as it is now.', TenantSchema) },
      errors: [
        ...(['invalid_request', 'not_found', 'body_too_large', 'unsupported_media_type'] as const),
        ...REDIS_ERRORS,
      ],
    },
    async (c) => {
      expectNoQuery(c);
      const name = nameOf(c);
      const parsed = TenantRequest.safeParse(await readJson(c, limits));
      if (!parsed.success) throw invalidRequest(parsed.error);
      return answerJson(c, await keys.setTenant(name, parsed.data));
    },
  );
}

function addReset(app: ApiApp, { keys }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'delete',
      path: PATH,
      access: 'admin',
      summary: 'Give a tenant the limits that every tenant has; its keys and jobs stay',
      tags: TAGS,
      request: { params: TenantParams },
      answers: { 204: { description: 'It has.' } },
      errors: ['invalid_request', 'not_found', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      await keys.resetTenant(nameOf(c));
      return answer(c, null, { status: 204 });
    },
  );
}

/** No other name can be a tenant's. */
function nameOf(c: Context<ApiEnv>): string {
  const parsed = TenantName.safeParse(c.req.param('name'));
  if (!parsed.success) throw new AppError('not_found');
  return parsed.data;
}
