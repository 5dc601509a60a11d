import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { newSecretId } from '../ids.ts';
import type { Keyspace } from '../queues.ts';
import { defineScript } from '../redis.ts';

const StoredSecret = z.object({
  id: z.string(),
  secret: z.string(),
  created_ms: z.number(),
  expires_ms: z.number().optional(),
});
export type StoredSecret = z.infer<typeof StoredSecret>;
const StoredSecrets = z.array(StoredSecret);

const SECRET_BYTES = 32;

/**
 * The secrets that a tenant's callbacks are signed with. Redis has to hold them as they are, since
 * an HMAC needs its key.
 */
export class SecretStore {
  readonly #redis: Redis;
  readonly #keys: Keyspace;
  readonly #rotate: (args: (string | number)[]) => Promise<unknown>;

  constructor(redis: Redis, keys: Keyspace) {
    this.#redis = redis;
    this.#keys = keys;
    this.#rotate = defineScript(redis, 'rotate-secret');
  }

  /** Those that are good now, newest first: none, one or two. */
  async live(tenant: string, nowMs: number): Promise<StoredSecret[]> {
    const json = await this.#redis.get(this.#keys.webhookSecrets(tenant));
    const secrets = StoredSecrets.parse(JSON.parse(json ?? '[]'));
    return secrets.filter(({ expires_ms }) => expires_ms === undefined || expires_ms > nowMs);
  }

  /** As `live`, but never none. */
  async ensure(tenant: string, nowMs: number): Promise<StoredSecret[]> {
    const live = await this.live(tenant, nowMs);
    return live.length > 0 ? live : this.#write(tenant, nowMs, null);
  }

  /** A new one; the one before stays good for `overlapMs`. @returns those that are good */
  rotate(tenant: string, nowMs: number, overlapMs: number): Promise<StoredSecret[]> {
    return this.#write(tenant, nowMs, overlapMs);
  }

  async #write(tenant: string, nowMs: number, overlapMs: number | null): Promise<StoredSecret[]> {
    const secret: StoredSecret = {
      id: newSecretId(nowMs),
      secret: `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`,
      created_ms: nowMs,
    };
    const key = this.#keys.webhookSecrets(tenant);
    const json = await this.#rotate([1, key, nowMs, JSON.stringify(secret), overlapMs ?? '']);
    return StoredSecrets.parse(JSON.parse(z.string().parse(json)));
  }
}
