import type { Tracing } from '@headrace/shared/tracing/tracing.ts';
import type { MiddlewareHandler } from 'hono';
import type { ApiEnv } from './api-env.ts';
import { routeOf } from './request-scope.ts';

const UNTRACED = new Set(['/health', '/ready', '/metrics', '/openapi.json', '/docs']);

/** A span for each request but those that only look whether the process lives. */
export function traceRequests(tracing: Tracing): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const { path, method } = c.req;
    if (UNTRACED.has(path) || path.startsWith('/docs/')) return next();
    const span = tracing.start({
      name: method,
      kind: 'server',
      parent: c.req.header('traceparent'),
      attributes: { 'http.request.method': method },
    });
    c.set('trace', span.traceparent);
    try {
      await next();
    } finally {
      // The pattern of the route, never the path: a path may hold ids.
      const route = routeOf(c);
      span.rename(`${method} ${route}`);
      const { status } = c.res;
      span.set({ 'http.route': route, 'http.response.status_code': status });
      span.end({ error: status >= 500 ? String(status) : undefined });
    }
  };
}
