import type { ErrorCode } from './api-types.ts';
import { ConnectionError, HeadraceError } from './errors.ts';

/**
 * What may be sent again: `always` what changes nothing or ends in the same state; `if-refused`
 * what would be done twice, only where it is sure that it was not done once; `never` what cannot be
 * sent twice.
 */
export type Repeat = 'always' | 'if-refused' | 'never';

/** Refusals before anything was done. */
const REFUSED = new Set<ErrorCode>(['rate_limited', 'overloaded', 'storage_nearly_full']);

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 8_000;
/** A server that asks for more is better told to the caller. */
const LONGEST_RETRY_AFTER_S = 60;

interface Failure {
  repeat: Repeat;
  /** How often it was tried before. */
  retries: number;
  error: unknown;
  /** From 0 to below 1. */
  random: number;
}

/**
 * When to try again; null: not at all. Delays double from half a second, with half of each at
 * random, so that callers who failed together do not come back together.
 */
export function retryDelayMs({ repeat, retries, error, random }: Failure): number | null {
  if (!mayRepeat(repeat, error)) return null;
  const delayMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** retries);
  const jittered = delayMs * (0.5 + random / 2);
  const askedS = error instanceof HeadraceError ? error.retryAfterS : null;
  if (askedS === null) return jittered;
  return askedS > LONGEST_RETRY_AFTER_S ? null : Math.max(askedS * 1000, jittered);
}

function mayRepeat(repeat: Repeat, error: unknown): boolean {
  if (repeat === 'never') return false;
  if (error instanceof ConnectionError) return repeat === 'always' || error.neverSent;
  if (!(error instanceof HeadraceError) || !error.retryable) return false;
  return repeat === 'always' || REFUSED.has(error.code);
}
