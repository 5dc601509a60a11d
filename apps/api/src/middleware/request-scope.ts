import { randomUUID } from 'node:crypto';
import type { Logger } from '@headrace/shared/logger.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import type { Context, MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import type { ApiEnv } from './api-env.ts';

interface RequestScopeDeps {
  metrics: Metrics;
  log: Logger;
  /** True once the process is stopping: connections are not kept. */
  stopping: () => boolean;
}

const CLIENT_REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

/** The request's id, its metric and its line in the access log. */
export function requestScope(deps: RequestScopeDeps): MiddlewareHandler<ApiEnv> {
  const observe = createObserver(deps.metrics);
  return async (c, next) => {
    const startedMs = performance.now();
    const requestId = requestIdOf(c.req.header('x-request-id'));
    c.set('requestId', requestId);
    await next();
    if (deps.stopping()) c.header('connection', 'close');
    const durationMs = performance.now() - startedMs;
    const entry = { method: c.req.method, route: routeOf(c), status: c.res.status };
    observe(entry, durationMs);
    if (deps.log.isLevelEnabled('debug')) {
      const durationRounded = Math.round(durationMs * 10) / 10;
      deps.log.debug(
        { event: 'http.request', request_id: requestId, ...entry, duration_ms: durationRounded },
        'request',
      );
    }
  };
}

/** A client's own id if it is safe to repeat, else a new one. */
function requestIdOf(given: string | undefined): string {
  return given !== undefined && CLIENT_REQUEST_ID.test(given) ? given : randomUUID();
}

/** The pattern of the route, never the path: a path may hold ids. */
export function routeOf(c: Context<ApiEnv>): string {
  const last = matchedRoutes(c).at(-1);
  return last === undefined || last.method === 'ALL' ? 'unmatched' : last.path;
}

interface Entry {
  method: string;
  route: string;
  status: number;
}

/** Keeps the labelled child of each combination: looking it up by labels costs more than a map. */
function createObserver(metrics: Metrics): (entry: Entry, durationMs: number) => void {
  const children = new Map<string, { observe(seconds: number): void }>();
  return (entry, durationMs) => {
    const key = `${entry.method} ${entry.route} ${entry.status}`;
    let child = children.get(key);
    if (!child) {
      child = metrics.histograms.http_request_seconds.labels({ ...entry });
      children.set(key, child);
    }
    child.observe(durationMs / 1000);
  };
}
