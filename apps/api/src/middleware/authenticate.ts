import type { MiddlewareHandler } from 'hono';
import type { Keyring } from '../keyring.ts';
import { isConsolePath } from '../routes/console.ts';
import type { ApiEnv } from './api-env.ts';

interface AuthenticateDeps {
  keyring: Keyring;
  /** Whether whoever reaches the port may read `/metrics`. */
  metricsOpen: boolean;
  /** Absent where the console is off. */
  readConsole?: unknown;
}

/**
 * Finds out who asks, once for each request: `c.var.caller`. Paths that no route has need a key
 * too, so that a route is closed unless it is named here.
 */
export function authenticate({
  keyring,
  metricsOpen,
  readConsole,
}: AuthenticateDeps): MiddlewareHandler<ApiEnv> {
  const open = new Set(['/health', '/ready', '/openapi.json', '/docs']);
  if (metricsOpen) open.add('/metrics');
  return (c, next) => {
    const { path } = c.req;
    if (open.has(path) || path.startsWith('/docs/')) return next();
    if (readConsole !== undefined && isConsolePath(path)) return next();
    const caller = keyring.identify(c.req.header('authorization'));
    if (caller instanceof Promise) {
      return caller.then((found) => {
        c.set('caller', found);
        return next();
      });
    }
    c.set('caller', caller);
    return next();
  };
}
