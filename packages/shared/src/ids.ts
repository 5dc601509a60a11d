import { createHash, randomBytes, randomFillSync } from 'node:crypto';

/** Crockford's base 32 in lower case: sorts as bytes, has no look-alikes. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_CHARS = 10;
const ORDER_CHARS = 2;
const RANDOM_CHARS = 14;
const SECRET_CHARS = 40;
const ORDER_MAX = 32 ** ORDER_CHARS - 1;
const JOB_ID = /^job_[0-9a-hjkmnp-tv-z]{26}$/;
const FILE_ID = /^file-[0-9a-hjkmnp-tv-z]{26}$/;
/** For patterns that hold one. */
export const KEY_ID_PATTERN = 'key_[0-9a-hjkmnp-tv-z]{26}';
const KEY_ID = new RegExp(`^${KEY_ID_PATTERN}$`);
const BATCH_ID = /^batch_[0-9a-hjkmnp-tv-z]{26}$/;
const DELIVERY_ID = /^whd_[0-9a-hjkmnp-tv-z]{26}$/;
const ENDPOINT_ID = /^whe_[0-9a-hjkmnp-tv-z]{26}$/;

// One call into the system's random source serves many ids.
const pool = Buffer.alloc(RANDOM_CHARS * 256);
let used = pool.length;

let lastMs = 0;
let order = 0;

/** `job_` and 26 sortable characters. */
export function newJobId(nowMs: number): string {
  return `job_${sortable(nowMs)}`;
}

/** `file-` and 26 sortable characters. */
export function newFileId(nowMs: number): string {
  return `file-${sortable(nowMs)}`;
}

/**
 * The id of a file that a batch makes: the same whoever makes it, and however often. It sorts by the
 * creation of the batch, and is as unguessable as the batch's own.
 */
export function batchFileId(batchId: string, kind: 'output' | 'errors'): string {
  return `file-${derived(batchId, kind)}`;
}

export interface DeliveryIds {
  delivery: string;
  /** The `webhook-id` of every attempt. */
  message: string;
}

/**
 * The ids of the delivery that tells of the end of a job or batch. They follow from its id: an end
 * that Redis forgot and that comes once more is told of under the same `webhook-id`.
 */
export function deliveryIds(ofId: string): DeliveryIds {
  return {
    delivery: `whd_${derived(ofId, 'delivery')}`,
    message: `msg_${derived(ofId, 'message')}`,
  };
}

/** The id of what a tenant has had delivered to one URL; nothing of the URL can be read from it. */
export function endpointId(tenant: string, url: string): string {
  const hash = createHash('sha256').update(`${tenant}\n${url}`).digest();
  return `whe_${hashChars(hash, TIME_CHARS + ORDER_CHARS + RANDOM_CHARS)}`;
}

/** Ids of a test event, which is of no job. */
export function newTestId(nowMs: number): string {
  return `test_${sortable(nowMs)}`;
}

/** `whs_` and 26 sortable characters. */
export function newSecretId(nowMs: number): string {
  return `whs_${sortable(nowMs)}`;
}

/** `batch_` and 26 sortable characters. */
export function newBatchId(nowMs: number): string {
  return `batch_${sortable(nowMs)}`;
}

/** `key_` and 26 sortable characters. */
export function newKeyId(nowMs: number): string {
  return `key_${sortable(nowMs)}`;
}

/** 40 characters, 200 bits: nobody finds one by trying. */
export function newSecret(): string {
  return Array.from(randomBytes(SECRET_CHARS), (byte) => ALPHABET.charAt(byte & 31)).join('');
}

/** The smallest id that a job created at `timeMs` can have; for ranges over time. */
export function firstJobIdAt(timeMs: number): string {
  const rest = ALPHABET.charAt(0).repeat(ORDER_CHARS + RANDOM_CHARS);
  return `job_${base32(timeMs, TIME_CHARS)}${rest}`;
}

export function isJobId(value: string): boolean {
  return JOB_ID.test(value);
}

export function isKeyId(value: string): boolean {
  return KEY_ID.test(value);
}

export function isFileId(value: string): boolean {
  return FILE_ID.test(value);
}

export function isBatchId(value: string): boolean {
  return BATCH_ID.test(value);
}

export function isDeliveryId(value: string): boolean {
  return DELIVERY_ID.test(value);
}

export function isEndpointId(value: string): boolean {
  return ENDPOINT_ID.test(value);
}

/** Sorts by the creation of `id`, and is as unguessable. */
function derived(id: string, kind: string): string {
  const made = id.slice(id.indexOf('_') + 1, -RANDOM_CHARS);
  const hash = createHash('sha256').update(`${id} ${kind}`).digest();
  return `${made}${hashChars(hash, RANDOM_CHARS)}`;
}

function hashChars(hash: Buffer, length: number): string {
  return Array.from(hash.subarray(0, length), (byte) => ALPHABET.charAt(byte & 31)).join('');
}

/**
 * 10 characters of milliseconds + 2 that count within the millisecond + 14 random ones (70 bits):
 * unguessable, and ids of one process sort in the order they were made. From 1,024 in one
 * millisecond on, chance decides.
 */
function sortable(nowMs: number): string {
  order = nowMs === lastMs ? Math.min(order + 1, ORDER_MAX) : 0;
  lastMs = nowMs;
  return `${base32(nowMs, TIME_CHARS)}${base32(order, ORDER_CHARS)}${randomChars()}`;
}

function base32(value: number, length: number): string {
  let chars = '';
  let rest = Math.floor(value);
  for (let i = 0; i < length; i++) {
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
