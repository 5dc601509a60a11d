import type { Readable } from 'node:stream';

export interface BlobInfo {
  key: string;
  sizeBytes: number;
  modifiedMs: number;
}

export interface ByteRange {
  /** First byte. */
  start: number;
  /** One past the last; the end of the blob if absent. */
  end?: number;
}

/**
 * Where files and the parts of batches are kept, under keys of segments joined by `/`. Whatever
 * goes wrong with the store itself is a BlobError.
 */
export interface BlobStore {
  /**
   * Writes the whole of `body` under `key`, atomically: a reader sees the blob as it was before, or
   * all of the new one. Nothing is left when the body fails or the signal is aborted.
   * @returns its size in bytes
   */
  put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options?: { signal?: AbortSignal },
  ): Promise<number>;
  /** @returns null when there is no such blob */
  stat(key: string): Promise<BlobInfo | null>;
  /**
   * Streams a blob or a range of it; destroying the stream releases everything.
   * @throws BlobError `missing`, or `range` when the range begins behind the end
   */
  read(key: string, range?: ByteRange): Promise<Readable>;
  /** Does nothing when there is none. */
  delete(key: string): Promise<void>;
  /** Blobs whose key begins with `prefix`, in order of key. */
  list(prefix: string): AsyncIterable<BlobInfo>;
  /** Deletes everything under a prefix that ends with `/`. */
  deleteAll(prefix: string): Promise<void>;
  /** Deletes what writers that died have left half written, a day after. @returns how many */
  sweep(nowMs?: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * `changed`: not what it was before. `full`: no room left. `read-only`: takes no writes at the
 * moment. `unavailable`: does not answer, or is overloaded. `refused`: the store does not let us, or
 * there is no such bucket.
 */
export type BlobFailure =
  | 'missing'
  | 'range'
  | 'changed'
  | 'full'
  | 'read-only'
  | 'unavailable'
  | 'refused';

const RETRYABLE = new Set<BlobFailure>(['full', 'read-only', 'unavailable']);

export class BlobError extends Error {
  readonly reason: BlobFailure;

  constructor(reason: BlobFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'BlobError';
    this.reason = reason;
  }

  /** Whether the same may work in a while. */
  get isRetryable(): boolean {
    return RETRYABLE.has(this.reason);
  }
}

const SEGMENT = /^[A-Za-z0-9_=@-][A-Za-z0-9._=@-]*$/;
const MAX_KEY_CHARACTERS = 512;

/** @throws TypeError for a key that could name something outside of the store */
export function checkKey(key: string): void {
  const valid = key.length <= MAX_KEY_CHARACTERS && key.split('/').every((s) => SEGMENT.test(s));
  if (!valid) throw new TypeError(`not a blob key: ${JSON.stringify(key.slice(0, 64))}`);
}

/** @throws TypeError; the prefix of nothing is allowed, and of a part of a segment */
export function checkPrefix(prefix: string): void {
  if (prefix !== '') checkKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
}
