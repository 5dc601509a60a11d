import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import {
  BlobError,
  type BlobFailure,
  type BlobInfo,
  type BlobStore,
  type ByteRange,
  checkKey,
  checkPrefix,
} from './blob-store.ts';

export interface S3Options {
  bucket: string;
  /** In front of every key; empty, or ends with `/`. */
  prefix: string;
  /** Of a store that is not Amazon's own, such as `https://minio.example:9000`. */
  endpoint?: string;
  region: string;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  pathStyle: boolean;
  /** Keys that one listing asks for. */
  pageKeys?: number;
  /** Of an attempt, without a byte from the store. */
  requestTimeoutMs?: number;
}

/** A blob of up to 8 MiB is one request; memory of a write is bounded by three parts. */
const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 3;
const ATTEMPTS = 4;
const CONNECT_MS = 5_000;
const REQUEST_MS = 30_000;
const DELETES_AT_ONCE = 16;

/**
 * Blobs as objects of an S3 bucket, or of any store with its protocol. Credentials come from where
 * the AWS SDK looks for them: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or the role of the
 * machine.
 */
export class S3BlobStore implements BlobStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #pageKeys: number;

  constructor(options: S3Options) {
    this.#client = new S3Client(clientConfig(options));
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
      client: this.#client,
      params: { ...this.#object(key), Body: Readable.from(content) },
      partSize: PART_BYTES,
      queueSize: PARTS_AT_ONCE,
      leavePartsOnError: false,
    });
    try {
      await upload.done();
      return content.bytes;
    } catch (error) {
      throw content.failure ?? blobFailure(error);
    }
  }

  async stat(key: string): Promise<BlobInfo | null> {
    const object = this.#object(key);
    try {
      const found = await attempt(() => this.#client.send(new HeadObjectCommand(object)));
      const modifiedMs = found.LastModified?.getTime() ?? 0;
      return { key, sizeBytes: found.ContentLength ?? 0, modifiedMs };
    } catch (error) {
      if (error instanceof BlobError && error.reason === 'missing') return null;
      throw error;
    }
  }

  async read(key: string, { start, end }: ByteRange = { start: 0 }): Promise<Readable> {
    if (start === end) return this.#nothing(key, start);
    const whole = start === 0 && end === undefined;
    const last = end === undefined ? '' : end - 1;
    const range = whole ? {} : { Range: `bytes=${start}-${last}` };
    const command = new GetObjectCommand({ ...this.#object(key), ...range });
    const { Body } = await attempt(() => this.#client.send(command));
    if (Body instanceof Readable) return Body;
    throw new BlobError('unavailable', 'S3 gave no content');
  }

  async delete(key: string): Promise<void> {
    const object = this.#object(key);
    await attempt(() => this.#client.send(new DeleteObjectCommand(object)));
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
      const page = await attempt(() => this.#client.send(command));
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
    this.#client.destroy();
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

function clientConfig(options: S3Options): S3ClientConfig {
  return {
    region: options.region,
    forcePathStyle: options.pathStyle,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    maxAttempts: ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: options.requestTimeoutMs ?? REQUEST_MS,
      throwOnRequestTimeout: true,
    },
    // Stores other than Amazon's refuse the checksums that the SDK adds where none is asked for.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  };
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

async function attempt<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw blobFailure(error);
  }
}

const REASONS: Record<string, BlobFailure> = {
  NoSuchKey: 'missing',
  NotFound: 'missing',
  NoSuchBucket: 'refused',
  InvalidRange: 'range',
  CredentialsProviderError: 'refused',
};

/** The SDK's errors may quote requests: only their name and status go on. */
function blobFailure(error: unknown): BlobError {
  const name = error instanceof Error ? error.name : 'unknown';
  const status = statusOf(error);
  const reason = REASONS[name] ?? reasonOf(status);
  return new BlobError(reason, `S3: ${name}${status === null ? '' : ` (${status})`}`, error);
}

function reasonOf(status: number | null): BlobFailure {
  if (status === 404) return 'missing';
  if (status === 416) return 'range';
  if (status === 507) return 'full';
  if (status === null || status === 408 || status === 429 || status >= 500) return 'unavailable';
  return 'refused';
}

function statusOf(error: unknown): number | null {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return null;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null) return null;
  const status = 'httpStatusCode' in metadata ? metadata.httpStatusCode : null;
  return typeof status === 'number' && status >= 300 ? status : null;
}
