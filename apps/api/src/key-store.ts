import {
  DEFAULT_LIMITS,
  DEFAULT_TENANT,
  type KeyDefinition,
  KeyDefinitionSchema,
  type TenantLimits,
  TenantLimitsSchema,
} from '@headrace/shared/api-keys.ts';
import { unwrapPipeline } from '@headrace/shared/job-store.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import { defineScript } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { z } from 'zod';

export interface StoredKey {
  id: string;
  definition: KeyDefinition;
  /** SHA-256 of the secret. */
  hash: Buffer;
  lastUsedAt: number | null;
  revokedAt: number | null;
}

/** A key that no longer works is still shown for as long, so that its use can be looked into. */
const KEPT_S = 90 * 86_400;
const LAST_USED_EVERY_S = 60;
const PRUNED_AT_ONCE = 1_000;
const StoredFields = z.object({
  definition: z.string(),
  hash: z.string(),
  last_used_at: z.coerce.number().nullable().default(null),
  revoked_at: z.coerce.number().nullable().default(null),
});

/** API keys and what tenants may use up, as Redis holds them. */
export class KeyStore {
  readonly #redis: Redis;
  readonly #keys: Keyspace;
  readonly #touch: (args: (string | number)[]) => Promise<unknown>;

  constructor(redis: Redis, keys: Keyspace) {
    this.#redis = redis;
    this.#keys = keys;
    this.#touch = defineScript(redis, 'touch-keys');
  }

  /** Whether there has ever been a key. */
  async demanded(): Promise<boolean> {
    return (await this.#redis.exists(this.#keys.keysDemanded)) === 1;
  }

  /** From now on keys are demanded, and this is one. */
  async create({ id, definition, hash }: Pick<StoredKey, 'id' | 'definition' | 'hash'>) {
    const key = this.#keys.apiKey(id);
    const fields = { definition: JSON.stringify(definition), hash: hash.toString('hex') };
    const added = this.#redis.multi().hset(key, fields).zadd(this.#keys.apiKeys, 0, id);
    if (definition.expires_at !== null) added.expireat(key, definition.expires_at + KEPT_S);
    added.sadd(this.#keys.tenantNames, definition.tenant);
    unwrapPipeline(await added.set(this.#keys.keysDemanded, 1).exec());
  }

  async read(id: string): Promise<StoredKey | null> {
    return storedKey(id, await this.#redis.hgetall(this.#keys.apiKey(id)));
  }

  /**
   * Newest first, older than `after` if given.
   * @returns at most `count`, and whether there may be more
   */
  async list(after: string | null, count: number): Promise<{ found: StoredKey[]; more: boolean }> {
    const ids = await this.#idsAfter(after, count + 1);
    const page = ids.slice(0, count);
    const read = await Promise.all(page.map((id) => this.read(id)));
    const gone = page.filter((_, i) => read[i] === null);
    if (gone.length > 0) await this.#redis.zrem(this.#keys.apiKeys, ...gone);
    return { found: read.filter((key) => key !== null), more: ids.length > count };
  }

  count(): Promise<number> {
    return this.#redis.zcard(this.#keys.apiKeys);
  }

  /** Forgets the ids of keys that are gone; else a list does so page by page. */
  async prune(): Promise<void> {
    let after: string | null = null;
    do after = await this.#pruneAfter(after);
    while (after !== null);
  }

  /** @returns the last id that was looked at; null at the end */
  async #pruneAfter(after: string | null): Promise<string | null> {
    const ids = await this.#idsAfter(after, PRUNED_AT_ONCE);
    const pipeline = this.#redis.pipeline();
    for (const id of ids) pipeline.exists(this.#keys.apiKey(id));
    const there = unwrapPipeline(await pipeline.exec());
    const gone = ids.filter((_, i) => there[i] === 0);
    if (gone.length > 0) await this.#redis.zrem(this.#keys.apiKeys, ...gone);
    return ids.length < PRUNED_AT_ONCE ? null : (ids.at(-1) ?? null);
  }

  #idsAfter(after: string | null, count: number): Promise<string[]> {
    const from = after === null ? '+' : `(${after}`;
    return this.#redis.zrevrangebylex(this.#keys.apiKeys, from, '-', 'LIMIT', 0, count);
  }

  /** The first revocation counts. */
  async revoke(id: string, nowS: number): Promise<void> {
    const key = this.#keys.apiKey(id);
    unwrapPipeline(
      await this.#redis.multi().hsetnx(key, 'revoked_at', nowS).expire(key, KEPT_S).exec(),
    );
  }

  /** Notes that keys were used, each once a minute at most, whoever notes it. */
  async touch(ids: string[], nowS: number): Promise<void> {
    const keys = ids.map((id) => this.#keys.apiKey(id));
    await this.#touch([keys.length, ...keys, nowS, LAST_USED_EVERY_S]);
  }

  /** Everybody who can have jobs, files and batches. */
  async tenantNames(): Promise<string[]> {
    const named = await this.#redis.smembers(this.#keys.tenantNames);
    return [...new Set([DEFAULT_TENANT, ...named])];
  }

  async tenant(name: string): Promise<TenantLimits | null> {
    const json = await this.#redis.hget(this.#keys.tenants, name);
    return json === null ? null : parseLimits(json);
  }

  /** Those with limits of their own. */
  async tenants(): Promise<Map<string, TenantLimits>> {
    const all = Object.entries(await this.#redis.hgetall(this.#keys.tenants));
    return new Map(all.sort().map(([name, json]) => [name, parseLimits(json)]));
  }

  async setTenant(name: string, limits: TenantLimits): Promise<void> {
    await this.#redis.hset(this.#keys.tenants, name, JSON.stringify(limits));
  }

  /** @returns false if it had no limits of its own */
  async removeTenant(name: string): Promise<boolean> {
    return (await this.#redis.hdel(this.#keys.tenants, name)) === 1;
  }
}

function storedKey(id: string, hash: Record<string, string>): StoredKey | null {
  const fields = StoredFields.safeParse(hash);
  if (!fields.success) return null;
  const { data } = fields;
  return {
    id,
    definition: KeyDefinitionSchema.parse(JSON.parse(data.definition)),
    hash: Buffer.from(data.hash, 'hex'),
    lastUsedAt: data.last_used_at,
    revokedAt: data.revoked_at,
  };
}

/** A field that is added later has its default in records that are older. */
function parseLimits(json: string): TenantLimits {
  return TenantLimitsSchema.parse({ ...DEFAULT_LIMITS, ...JSON.parse(json) });
}
