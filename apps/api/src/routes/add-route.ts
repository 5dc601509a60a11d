import { ERROR_CATALOGUE, type ErrorCode } from '@headrace/shared/errors.ts';
import { ErrorSchema } from '@headrace/shared/jobs.ts';
import { createRoute, type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { ApiEnv } from '../middleware/api-env.ts';

export type ApiApp = OpenAPIHono<ApiEnv>;
type Handler = (c: Context<ApiEnv>) => Response | Promise<Response>;
type Responses = RouteConfig['responses'];

interface ApiRoute {
  method: 'get' | 'post' | 'delete';
  /** `/v1/jobs/{id}` */
  path: string;
  summary: string;
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
  const { answers, errors, ...config } = route;
  const documented = createRoute({
    ...config,
    responses: withHeaders({ ...answers, ...errorResponses([...errors, 'internal']) }),
  });
  app.openAPIRegistry.registerPath(documented);
  app.on([route.method.toUpperCase()], [documented.getRoutingPath()], handler);
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
const RETRY_HEADERS = COMMON_HEADERS.extend({
  'retry-after': z.string().optional().describe('Seconds after which another try makes sense.'),
});

function withHeaders(responses: Responses): Responses {
  return Object.fromEntries(
    Object.entries(responses).map(([status, response]) => {
      const retryable = status === '429' || status === '503';
      return [status, { headers: retryable ? RETRY_HEADERS : COMMON_HEADERS, ...response }];
    }),
  );
}
