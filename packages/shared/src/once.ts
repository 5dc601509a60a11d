import type { Redis } from 'ioredis';
import { defineScript } from './redis.ts';

/** What a request under an Idempotency-Key leaves behind, in the step that does what it asks for. */
export interface OnceKeep {
  /** Redis key of the Idempotency-Key. */
  key: string;
  keep: string;
}

/** How long an Idempotency-Key is kept. */
export const ONCE_TTL_MS = 86_400_000;
/** Whoever dies with a request in hand keeps others from it for so long. */
const LEASE_MS = 15_000;
const RENEW_MS = 4_000;
/** Begins the value of a key whose request is still in progress. */
const HELD = '?';

/** The one request under an Idempotency-Key that is in progress, where that takes long. */
export interface OnceLease {
  readonly key: string;
  /** The value of the key while this request holds it. */
  readonly token: string;
  /** Leaves the key to the next request, unless something is kept there by now. */
  release(): Promise<void>;
}

/** Another request holds the key. */
interface OnceHeld {
  held: true;
}

export type TakeOnce = (key: string, name: string) => Promise<OnceLease | OnceHeld | string>;

/** To take hold of Idempotency-Keys; a lease is renewed for as long as the process lives. */
export function createTakeOnce(redis: Redis): TakeOnce {
  const hold = defineScript(redis, 'hold-once');

  function lease(key: string, token: string): OnceLease {
    const timer = setInterval(() => {
      // What another one has taken meanwhile is found out where the request ends.
      hold([1, key, token, LEASE_MS]).catch(() => undefined);
    }, RENEW_MS);
    timer.unref();
    return {
      ...{ key, token },
      async release() {
        clearInterval(timer);
        await hold([1, key, token, 0]);
      },
    };
  }

  /**
   * @param name of the request, unlike any other
   * @returns the lease, or what is kept at the key
   */
  return async (key, name) => {
    const token = `${HELD}${name}`;
    if ((await redis.set(key, token, 'PX', LEASE_MS, 'NX')) !== null) return lease(key, token);
    const found = await redis.get(key);
    // Let go of in between: as if a moment ago.
    return found === null || found.startsWith(HELD) ? { held: true } : found;
  };
}
