import type { Scope } from '@headrace/shared/api-keys.ts';
import { AppError, ERROR_CATALOGUE, type ErrorCode } from '@headrace/shared/errors.ts';
import { ErrorSchema } from '@headrace/shared/jobs.ts';
import { createRoute, type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { ApiEnv } from '../middleware/api-env.ts';
import { callerOf } from '../middleware/caller.ts';

export type ApiApp = OpenAPIHono<ApiEnv>;
type Handler = (c: Context<ApiEnv>) => Response | Promise<Response>;
/** Name of the security scheme in the OpenAPI document. */
export const KEY_SCHEME = 'apiKey';
/** Of server-sent events. */
export const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  // A proxy that buffers would hold events back.
  'x-accel-buffering': 'no',
};
type Responses = RouteConfig['responses'];

interface ApiRoute {
  method: 'get' | 'post' | 'put' | 'delete';
  /** `/v1/jobs/{id}` */
  path: string;
  summary: string;
  /** What a key must be good for; `any`: every key; `open`: no key is asked for. */
  access: Scope | 'any' | 'open';
  request?: NonNullable<RouteConfig['request']>;
  /** Answers that are no error. */
  answers: Responses;
  errors: ErrorCode[];
  tags: string[];
}

/**
 * Adds a route to the application and to the OpenAPI document. The handler checks its request with
 * the very schemas that are documented here: the validating middleware of the library would read
 * bodies without a limit, and parse them once more.
 */
export function addRoute(app: ApiApp, route: ApiRoute, handler: Handler): void {
  const { answers, errors, access, ...config } = route;
  const refusals = access === 'open' ? [] : access === 'any' ? KEY_ERRORS : SCOPE_ERRORS;
  const documented = createRoute({
    ...config,
    responses: withHeaders({
      ...answers,
      ...errorResponses([...new Set([...errors, ...refusals, 'internal' as const])]),
    }),
    security: access === 'open' ? [] : [{ [KEY_SCHEME]: access === 'any' ? [] : [access] }],
  });
  app.openAPIRegistry.registerPath(documented);
  const guarded: Handler =
    access === 'open' || access === 'any'
      ? handler
      : (c) => {
          demandScope(c, access);
          return handler(c);
        };
  app.on([route.method.toUpperCase()], [documented.getRoutingPath()], guarded);
}

const KEY_ERRORS: ErrorCode[] = ['unauthorized', 'redis_unavailable'];
const SCOPE_ERRORS: ErrorCode[] = [...KEY_ERRORS, 'forbidden'];

function demandScope(c: Context<ApiEnv>, scope: Scope): void {
  if (callerOf(c).scopes.includes(scope)) return;
  throw new AppError('forbidden', { message: `The API key lacks the scope ${scope}.` });
}

const ErrorEnvelope = z
  .object({
    error: z.object({
      ...ErrorSchema.shape,
      job_id: z.string().optional().describe('The job that was submitted all the same.'),
    }),
    missing: z.array(z.string()).optional().describe('Of /ready: what a request would lack.'),
  })
  .meta({ id: 'ErrorEnvelope' });

/** `application/json` with a schema, for a route's answers. */
export function json(description: string, schema: z.ZodType): Responses[string] {
  return { description, content: { 'application/json': { schema } } };
}

function errorResponses(codes: ErrorCode[]): Responses {
  const byStatus = Map.groupBy(codes, (code) => ERROR_CATALOGUE[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, sharing]) => [
      String(status),
      json(sharing.map((code) => `\`${code}\``).join(', '), ErrorEnvelope),
    ]),
  );
}

const COMMON_HEADERS = z.object({
  'x-request-id': z.string().describe("The client's own id if it sent one, else a new one."),
});
const CHALLENGE_HEADERS = COMMON_HEADERS.extend({
  'www-authenticate': z.string().describe('Bearer'),
});
const RETRY_HEADERS = COMMON_HEADERS.extend({
  'retry-after': z.string().optional().describe('Seconds after which another try makes sense.'),
});

function withHeaders(responses: Responses): Responses {
  return Object.fromEntries(
    Object.entries(responses).map(([status, response]) => {
      if (status === '401') return [status, { headers: CHALLENGE_HEADERS, ...response }];
      const retryable = status === '429' || status === '503';
      return [status, { headers: retryable ? RETRY_HEADERS : COMMON_HEADERS, ...response }];
    }),
  );
}
