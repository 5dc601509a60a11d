import { hash, timingSafeEqual } from 'node:crypto';
import { DEFAULT_LIMITS, DEFAULT_TENANT } from '@headrace/shared/api-keys.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { KEY_ID_PATTERN } from '@headrace/shared/ids.ts';
import type { KeyStore, StoredKey } from './key-store.ts';
import { ANYBODY, type Caller } from './middleware/caller.ts';
import { RecentReads } from './recent-reads.ts';

/** Who a request is from, without asking Redis for each. */
export interface Keyring {
  /** @throws AppError `unauthorized`, or `redis_unavailable` when nobody can tell */
  identify(authorization: string | undefined): Caller | Promise<Caller>;
  /** Whether keys are demanded; asks Redis unless it is known. */
  demanded(): boolean | Promise<boolean>;
  /** A key was made here: from now on keys are demanded, in other processes a little later. */
  demand(): void;
  /** A key has changed here; others notice within 10 s. */
  forget(id: string): void;
  /** Notes in the store which keys were used since the last call. */
  noteUse(): Promise<void>;
}

interface KeyringDeps {
  store: KeyStore;
  /** HEADRACE_AUTH=off: everybody may do everything. */
  open: boolean;
  /** HEADRACE_ADMIN_KEY, a key that is in no store. */
  adminKey: string | null;
  now?: () => number;
}

interface KnownKey {
  hash: Buffer;
  /** Whether it works at a time. */
  works(nowMs: number): boolean;
  caller: Caller;
}

/** Below the 10 s within which a revocation must work. */
const MAX_AGE_MS = 9_000;
const MAX_KEYS = 10_000;
const NOTE_EVERY_MS = 60_000;

const BEARER = /^Bearer +([\x21-\x7e]{1,256})$/i;
const TOKEN = new RegExp(`^hr_(${KEY_ID_PATTERN})_([0-9a-hjkmnp-tv-z]{40})$`);
/** What the secret of an unknown key is compared with: no secret is known that has this hash. */
const NO_HASH = Buffer.alloc(32);

/** The token that its owner keeps; only `secretHash` of it is stored. */
export function keyToken(id: string, secret: string): string {
  return `hr_${id}_${secret}`;
}

/**
 * A plain hash, since a secret has 200 random bits: there is nothing to guess that a slow hash
 * would protect, and a slow one would let strangers keep the process busy.
 */
export function secretHash(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

export function createKeyring({ store, open, adminKey, now = Date.now }: KeyringDeps): Keyring {
  const adminHash = adminKey === null ? null : secretHash(adminKey);
  const keys = new RecentReads<KnownKey>({
    ...{ maxAgeMs: MAX_AGE_MS, maxEntries: MAX_KEYS, now },
    read: async (id) => knownKey(store, await store.read(id)),
  });
  const demands = new RecentReads<true>({
    ...{ maxAgeMs: MAX_AGE_MS, maxEntries: 1, now },
    read: async () => ((await store.demanded()) ? true : null),
  });
  const guest = createGuest(store, now);
  const noted = new Map<string, number>();
  let used = new Set<string>();
  /** Once they are, they stay so. */
  let known = !open && adminHash !== null;

  function demanded(): boolean | Promise<boolean> {
    if (open || known) return known;
    const found = demands.get('');
    return found instanceof Promise ? found.then(learn) : learn(found);
  }

  function learn(found: true | null): boolean {
    // An answer that was on its way when the first key was made must not undo it.
    known ||= found !== null;
    return known;
  }

  function check(authorization: string | undefined): Caller | Promise<Caller> {
    const [, token] = BEARER.exec(authorization ?? '') ?? [];
    if (token === undefined) throw new AppError('unauthorized');
    if (adminHash !== null && timingSafeEqual(secretHash(token), adminHash)) return ANYBODY;
    const [, id, secret] = TOKEN.exec(token) ?? [];
    if (id === undefined || secret === undefined) throw new AppError('unauthorized');
    const hashed = secretHash(secret);
    const key = keys.get(id);
    if (key instanceof Promise) return key.then((found) => verify(found, id, hashed));
    return verify(key, id, hashed);
  }

  /** Unknown, revoked and wrong keys take the same steps and get the same answer. */
  function verify(key: KnownKey | null, id: string, hashed: Buffer): Caller {
    const nowMs = now();
    const right = timingSafeEqual(hashed, key?.hash ?? NO_HASH);
    if (!right || key === null || !key.works(nowMs)) throw new AppError('unauthorized');
    if (nowMs - (noted.get(id) ?? 0) >= NOTE_EVERY_MS) {
      noted.set(id, nowMs);
      used.add(id);
    }
    return key.caller;
  }

  return {
    demanded,
    demand() {
      known = !open;
    },
    forget: (id) => keys.forget(id),
    identify(authorization) {
      const demand = demanded();
      if (demand === false) return guest();
      if (demand === true) return check(authorization);
      return demand.then((needed) => (needed ? check(authorization) : guest()));
    },
    async noteUse() {
      if (noted.size > MAX_KEYS) noted.clear();
      if (used.size === 0) return;
      const ids = [...used];
      used = new Set();
      await store.touch(ids, Math.floor(now() / 1000));
    },
  };
}

/** Whoever asks where no key is demanded, as was known last: nobody waits for Redis to say it. */
function createGuest(store: KeyStore, now: () => number): () => Caller {
  let caller = ANYBODY;
  const learn = (found: Caller | null) => {
    caller = found ?? ANYBODY;
  };
  const guests = new RecentReads<Caller>({
    ...{ maxAgeMs: MAX_AGE_MS, maxEntries: 1, now },
    async read() {
      const limits = await store.tenant(DEFAULT_TENANT);
      return limits && { ...ANYBODY, weight: limits.weight, maxRows: limits.max_rows };
    },
  });
  return () => {
    const found = guests.get('');
    if (found instanceof Promise) found.then(learn, () => undefined);
    else learn(found);
    return caller;
  };
}

async function knownKey(store: KeyStore, key: StoredKey | null): Promise<KnownKey | null> {
  if (key === null) return null;
  const { tenant, scopes, rate_limit, expires_at } = key.definition;
  const limits = (await store.tenant(tenant)) ?? DEFAULT_LIMITS;
  const caller: Caller = {
    ...{ tenant, scopes, keyId: key.id, weight: limits.weight },
    limits: rate_limit && { rowsPerS: rate_limit.rows_per_s, burstRows: rate_limit.burst_rows },
    maxRows: limits.max_rows,
  };
  return {
    hash: key.hash,
    caller,
    works: (nowMs) => key.revokedAt === null && (expires_at === null || nowMs < expires_at * 1000),
  };
}
