import type { HttpBindings } from '@hono/node-server';
import type { Caller } from './caller.ts';

/** What the handlers of a request share. */
export interface ApiEnv {
  Bindings: Partial<HttpBindings>;
  Variables: {
    requestId: string;
    caller: Caller;
    /** The `traceparent` of the request's span, while tracing is on. */
    trace: string | undefined;
  };
}
