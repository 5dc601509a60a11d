import type { HttpBindings } from '@hono/node-server';
import type { Caller } from './caller.ts';

/** What the handlers of a request share. */
export interface ApiEnv {
  Bindings: Partial<HttpBindings>;
  Variables: { requestId: string; caller: Caller };
}
