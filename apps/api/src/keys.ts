import type { KeyDefinition, TenantLimits } from '@headrace/shared/api-keys.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { isKeyId, newKeyId, newSecret } from '@headrace/shared/ids.ts';
import type { KeyStore, StoredKey } from './key-store.ts';
import { type Keyring, keyToken, secretHash } from './keyring.ts';

/** A key as admins see it. */
export interface ApiKey extends KeyDefinition {
  id: string;
  object: 'key';
  last_used_at: number | null;
  revoked_at: number | null;
}

export type Tenant = { object: 'tenant'; name: string } & TenantLimits;

export interface KeyPage {
  data: ApiKey[];
  has_more: boolean;
  first_id: string | null;
  last_id: string | null;
}

interface KeysDeps {
  store: KeyStore;
  keyring: Keyring;
  now?: () => number;
}

const MAX_KEYS = 10_000;
const MAX_TENANTS = 10_000;

/** What an admin does with keys and tenants, over all tenants. */
export type Keys = ReturnType<typeof createKeys>;

export function createKeys({ store, keyring, now = Date.now }: KeysDeps) {
  const nowS = () => Math.floor(now() / 1000);

  async function find(id: string): Promise<StoredKey> {
    const key = isKeyId(id) ? await store.read(id) : null;
    if (key === null) throw new AppError('not_found');
    return key;
  }

  return {
    /** @returns the key with its secret, which nobody can read again */
    async create(wanted: Omit<KeyDefinition, 'created_at'>): Promise<ApiKey & { secret: string }> {
      const { expires_at } = wanted;
      if (expires_at !== null && expires_at <= nowS()) throw invalid('expires_at', 'has passed');
      if (!wanted.scopes.includes('admin') && !(await keyring.demanded())) {
        const why = 'the first key needs the scope admin, or nobody could make another one';
        throw invalid('scopes', why);
      }
      if ((await store.count()) >= MAX_KEYS) {
        await store.prune();
        if ((await store.count()) >= MAX_KEYS) throw invalid(null, `there are ${MAX_KEYS} keys`);
      }
      const id = newKeyId(now());
      const secret = newSecret();
      const definition = { ...wanted, created_at: nowS() };
      await store.create({ id, definition, hash: secretHash(secret) });
      keyring.demand();
      const fresh = { id, definition, lastUsedAt: null, revokedAt: null };
      return { ...view(fresh), secret: keyToken(id, secret) };
    },

    /** Newest first. */
    async list(after: string | null, limit: number): Promise<KeyPage> {
      const { found, more } = await store.list(after, limit);
      const data = found.map(view);
      const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
      return { data, has_more: more, ...ends };
    },

    /** @throws AppError `not_found` */
    async get(id: string): Promise<ApiKey> {
      return view(await find(id));
    },

    /** No process takes it any more within 10 s. Idempotent. @throws AppError `not_found` */
    async revoke(id: string): Promise<ApiKey> {
      await find(id);
      await store.revoke(id, nowS());
      keyring.forget(id);
      return view(await find(id));
    },

    /** Those with limits of their own, by name. */
    async tenants(): Promise<Tenant[]> {
      return [...(await store.tenants())].map(([name, limits]) => tenantView(name, limits));
    },

    /** @throws AppError `not_found` when it has no limits of its own */
    async tenant(name: string): Promise<Tenant> {
      const limits = await store.tenant(name);
      if (limits === null) throw new AppError('not_found');
      return tenantView(name, limits);
    },

    async setTenant(name: string, limits: TenantLimits): Promise<Tenant> {
      if ((await store.tenant(name)) === null && (await store.tenants()).size >= MAX_TENANTS) {
        throw invalid('name', `${MAX_TENANTS} tenants have limits of their own`);
      }
      await store.setTenant(name, limits);
      return tenantView(name, limits);
    },

    /** From now on it has what every tenant has. @throws AppError `not_found` */
    async resetTenant(name: string): Promise<void> {
      if (!(await store.removeTenant(name))) throw new AppError('not_found');
    },
  };
}

function view({ id, definition, lastUsedAt, revokedAt }: Omit<StoredKey, 'hash'>): ApiKey {
  return { id, object: 'key', ...definition, last_used_at: lastUsedAt, revoked_at: revokedAt };
}

function tenantView(name: string, limits: TenantLimits): Tenant {
  return { object: 'tenant', name, ...limits };
}

function invalid(param: string | null, problem: string): AppError {
  const message = param === null ? problem : `${param}: ${problem}`;
  return new AppError('invalid_request', { message, param });
}
