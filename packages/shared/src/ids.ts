import { randomFillSync } from 'node:crypto';

/** Crockford's base 32 in lower case: sorts as bytes, has no look-alikes. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_CHARS = 10;
const RANDOM_CHARS = 16;
const JOB_ID = /^job_[0-9a-hjkmnp-tv-z]{26}$/;

// One call into the system's random source serves many ids.
const pool = Buffer.alloc(RANDOM_CHARS * 256);
let used = pool.length;

/** `job_` + 10 characters of milliseconds + 16 random characters (80 bits): sortable, unguessable. */
export function newJobId(nowMs: number): string {
  return `job_${timeChars(nowMs)}${randomChars()}`;
}

/** The smallest id that a job created at `timeMs` can have; for ranges over time. */
export function firstJobIdAt(timeMs: number): string {
  return `job_${timeChars(timeMs)}${ALPHABET.charAt(0).repeat(RANDOM_CHARS)}`;
}

export function isJobId(value: string): boolean {
  return JOB_ID.test(value);
}

function timeChars(timeMs: number): string {
  let chars = '';
  let rest = Math.floor(timeMs);
  for (let i = 0; i < TIME_CHARS; i++) {
    chars = ALPHABET.charAt(rest % 32) + chars;
    rest = Math.floor(rest / 32);
  }
  return chars;
}

function randomChars(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  let chars = '';
  for (let i = 0; i < RANDOM_CHARS; i++) chars += ALPHABET.charAt((pool[used + i] ?? 0) & 31);
  used += RANDOM_CHARS;
  return chars;
}
