/** Longest that a receiver may ask us to wait. */
const MAX_RETRY_AFTER_MS = 3_600_000;
/** Attempts that failed together are not repeated together. */
const JITTER = 0.2;

interface Failure {
  /** Attempts so far, the one that failed included. */
  attempts: number;
  /** What the receiver asked for; null when it did not. */
  retryAfterMs: number | null;
  /** From 0 to 1. */
  random: number;
}

/**
 * How long after a failed attempt the next one is made; null when none is. Never earlier than the
 * schedule says, which counts from attempt to attempt.
 * @param scheduleMs the wait before each attempt, of which the first is 0
 */
export function nextDelayMs(
  scheduleMs: number[],
  { attempts, retryAfterMs, random }: Failure,
): number | null {
  const planned = scheduleMs[attempts];
  if (planned === undefined) return null;
  const jittered = planned * (1 + JITTER * random);
  return Math.max(jittered, Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS));
}

/** `Retry-After` in milliseconds from now, in seconds or as an HTTP date; null when it is neither. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | null {
  if (header === undefined) return null;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const atMs = /^[A-Z][a-z]{2}, \d{2} /.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}
