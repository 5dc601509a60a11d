import type { HttpBindings } from '@hono/node-server';

/** What the handlers of a request share. */
export interface ApiEnv {
  Bindings: Partial<HttpBindings>;
  Variables: { requestId: string };
}
