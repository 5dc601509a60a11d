import { Readable } from 'node:stream';
import { DeleteObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import {
  BlobError,
  type BlobInfo,
  type BlobStore,
  type ByteRange,
  checkKey,
  checkPrefix,
} from './blob-store.ts';
import { attemptS3, type S3ClientOptions, S3Objects, s3Failure } from './s3-client.ts';

export interface S3Options extends S3ClientOptions {
  bucket: string;
  /** In front of every key; empty, or ends with `/`. */
  prefix: string;
  /** Keys that one listing asks for. */
  pageKeys?: number;
}

/** A blob of up to 8 MiB is one request; memory of a write is bounded by three parts. */
const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 3;
const DELETES_AT_ONCE = 16;

/** Blobs as objects of an S3 bucket, or of any store with its protocol. */
export class S3BlobStore implements BlobStore {
  readonly #objects: S3Objects;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #pageKeys: number;

  constructor(options: S3Options) {
    this.#objects = new S3Objects(options);
    this.#bucket = options.bucket;
    this.#prefix = options.prefix;
    this.#pageKeys = options.pageKeys ?? 1_000;
  }

  async put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<number> {
    const content = new Counted(body, signal);
    const upload = new Upload({
      client: this.#objects.client,
      params: { ...this.#object(key), Body: Readable.from(content) },
      partSize: PART_BYTES,
      queueSize: PARTS_AT_ONCE,
      leavePartsOnError: false,
    });
    try {
      await upload.done();
      return content.bytes;
    } catch (error) {
      throw content.failure ?? putFailure(error);
    }
  }

  async stat(key: string): Promise<BlobInfo | null> {
    const found = await this.#objects.stat(this.#object(key));
    if (found === null) return null;
    return { key, sizeBytes: found.sizeBytes, modifiedMs: found.modifiedMs };
  }

  async read(key: string, range: ByteRange = { start: 0 }): Promise<Readable> {
    const object = this.#object(key);
    if (range.start === range.end) return this.#nothing(key, range.start);
    return this.#objects.read(object, range);
  }

  async delete(key: string): Promise<void> {
    const object = this.#object(key);
    await attemptS3(() => this.#objects.client.send(new DeleteObjectCommand(object)));
  }

  async *list(prefix: string): AsyncGenerator<BlobInfo> {
    checkPrefix(prefix);
    let after: string | undefined;
    do {
      const command = new ListObjectsV2Command({
        Bucket: this.#bucket,
        Prefix: this.#prefix + prefix,
        MaxKeys: this.#pageKeys,
        ...(after === undefined ? {} : { ContinuationToken: after }),
      });
      const page = await attemptS3(() => this.#objects.client.send(command));
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        const key = Key.slice(this.#prefix.length);
        yield { key, sizeBytes: Size, modifiedMs: LastModified?.getTime() ?? 0 };
      }
      after = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (after !== undefined);
  }

  /** One request each: not every store knows the one that deletes many. */
  async deleteAll(prefix: string): Promise<void> {
    if (!prefix.endsWith('/')) throw new TypeError(`not a folder of blobs: ${prefix}`);
    let keys: string[] = [];
    const flush = async () => {
      await Promise.all(keys.map((key) => this.delete(key)));
      keys = [];
    };
    for await (const { key } of this.list(prefix)) {
      keys.push(key);
      if (keys.length === DELETES_AT_ONCE) await flush();
    }
    await flush();
  }

  /** Uploads that were never completed are the bucket's own to expire, by a lifecycle rule. */
  async sweep(): Promise<number> {
    return 0;
  }

  async close(): Promise<void> {
    this.#objects.close();
  }

  /** HTTP has no empty range. */
  async #nothing(key: string, start: number): Promise<Readable> {
    const found = await this.stat(key);
    if (found === null) throw new BlobError('missing', `${key} does not exist`);
    if (start <= found.sizeBytes) return Readable.from([]);
    throw new BlobError('range', `${key} has ${found.sizeBytes} bytes, none from ${start} on`);
  }

  #object(key: string) {
    checkKey(key);
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }
}

/** A write has nothing to miss: an upload that the store has forgotten can be begun again. */
function putFailure(error: unknown): BlobError {
  const failure = s3Failure(error);
  if (failure.reason !== 'missing') return failure;
  return new BlobError('unavailable', failure.message, error);
}

/** A body on its way: how much has gone, and what it failed with, if it was the body that failed. */
class Counted implements AsyncIterable<Uint8Array> {
  bytes = 0;
  failure: unknown = null;
  readonly #body: AsyncIterable<Uint8Array>;
  readonly #signal: AbortSignal | undefined;

  constructor(body: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
    this.#body = body;
    this.#signal = signal;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const pieces = this.#body[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { value, done } = await this.#next(pieces);
        if (done === true) return;
        this.bytes += value.byteLength;
        yield value;
      }
    } finally {
      await pieces.return?.();
    }
  }

  /** Apart from the loop above: there, an upload that fails throws its own error in. */
  async #next(pieces: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    try {
      const next = await pieces.next();
      this.#signal?.throwIfAborted();
      return next;
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }
}
