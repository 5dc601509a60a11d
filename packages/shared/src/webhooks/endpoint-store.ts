import type { Redis } from 'ioredis';
import { z } from 'zod';
import { endpointId } from '../ids.ts';
import { unwrapPipeline } from '../job-store.ts';
import type { Keyspace } from '../queues.ts';

const EndpointState = z.object({
  id: z.string(),
  tenant: z.string(),
  url: z.string(),
  failing_since_ms: z.coerce.number(),
  disabled_ms: z.coerce.number(),
  reason: z.enum(['gone', 'failing']),
});

/** A URL of a tenant to which nothing is sent any more. Times are unix seconds. */
export const EndpointSchema = z
  .object({
    id: z.string(),
    object: z.literal('webhook.endpoint'),
    url: z.string(),
    disabled_at: z.number(),
    reason: z
      .enum(['gone', 'failing'])
      .describe('gone: it answered 410. failing: it did nothing but fail for days.'),
    failing_since: z.number(),
  })
  .meta({ id: 'WebhookEndpoint' });
export type Endpoint = z.infer<typeof EndpointSchema>;

/** The endpoints that are disabled. */
export class EndpointStore {
  readonly #redis: Redis;
  readonly #keys: Keyspace;

  constructor(redis: Redis, keys: Keyspace) {
    this.#redis = redis;
    this.#keys = keys;
  }

  async isDisabled(tenant: string, url: string): Promise<boolean> {
    const key = this.#keys.endpoint(endpointId(tenant, url));
    return (await this.#redis.hexists(key, 'disabled_ms')) === 1;
  }

  /** Those of a tenant, the last one that was disabled first. */
  async list(tenant: string, count: number): Promise<Endpoint[]> {
    const ids = await this.#redis.zrevrange(this.#keys.disabledEndpoints(tenant), 0, count - 1);
    const pipeline = this.#redis.pipeline();
    for (const id of ids) pipeline.hgetall(this.#keys.endpoint(id));
    const found = unwrapPipeline(await pipeline.exec());
    return found.flatMap((hash) => {
      const state = EndpointState.safeParse(hash);
      return state.success ? [view(state.data)] : [];
    });
  }

  /** @returns false when the tenant has no such endpoint that is disabled */
  async enable(tenant: string, id: string): Promise<boolean> {
    const key = this.#keys.endpoint(id);
    const [owner, disabled] = await this.#redis.hmget(key, 'tenant', 'disabled_ms');
    if (owner !== tenant || typeof disabled !== 'string') return false;
    // In this order: whoever dies in between leaves no URL that is disabled and not to be found.
    await this.#redis.del(key);
    await this.#redis.zrem(this.#keys.disabledEndpoints(tenant), id);
    return true;
  }
}

function view({ id, url, reason, ...times }: z.infer<typeof EndpointState>): Endpoint {
  return {
    ...{ id, object: 'webhook.endpoint', url, reason },
    disabled_at: times.disabled_ms / 1000,
    failing_since: times.failing_since_ms / 1000,
  };
}
