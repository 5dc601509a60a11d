import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { BlobError, type BlobFailure, type BlobInfo, type ByteRange } from './blob-store.ts';
import { BlobContent } from './content.ts';

export interface S3ClientOptions {
  /** Of a store that is not Amazon's own, such as `https://minio.example:9000`. */
  endpoint?: string;
  region: string;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  pathStyle: boolean;
  /** Of an attempt, without a byte from the store. */
  requestTimeoutMs?: number;
}

const ATTEMPTS = 4;
const CONNECT_MS = 5_000;
const REQUEST_MS = 30_000;

/**
 * The objects of one S3 store, or of any with its protocol. Credentials come from where the AWS SDK
 * looks for them: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or the role of the machine.
 */
export class S3Objects {
  readonly client: S3Client;
  readonly #idleMs: number;

  constructor(options: S3ClientOptions) {
    this.#idleMs = options.requestTimeoutMs ?? REQUEST_MS;
    this.client = new S3Client(clientConfig(options, this.#idleMs));
  }

  /** @returns null when there is no such object */
  async stat(object: S3Object): Promise<(Omit<BlobInfo, 'key'> & { etag: string }) | null> {
    try {
      const found = await attemptS3(() => this.client.send(new HeadObjectCommand(object)));
      const modifiedMs = found.LastModified?.getTime() ?? 0;
      return { sizeBytes: found.ContentLength ?? 0, modifiedMs, etag: found.ETag ?? '' };
    } catch (error) {
      if (error instanceof BlobError && error.reason === 'missing') return null;
      throw error;
    }
  }

  /**
   * Streams an object or a range of it that is not empty.
   * @param etag what it must be; BlobError `changed` if it is another
   */
  async read(object: S3Object, { start, end }: ByteRange, etag?: string): Promise<Readable> {
    const whole = start === 0 && end === undefined;
    const last = end === undefined ? '' : end - 1;
    const command = new GetObjectCommand({
      ...object,
      ...(whole ? {} : { Range: `bytes=${start}-${last}` }),
      ...(etag === undefined ? {} : { IfMatch: etag }),
    });
    const { Body, ETag } = await attemptS3(() => this.client.send(command));
    if (!(Body instanceof Readable)) throw new BlobError('unavailable', 'S3 gave no content');
    // Not every store knows the condition.
    if (etag !== undefined && ETag !== etag) {
      Body.destroy();
      throw new BlobError('changed', 'S3: the object is another one');
    }
    return new BlobContent(Body, { failure: s3Failure, idleMs: this.#idleMs });
  }

  close(): void {
    this.client.destroy();
  }
}

export interface S3Object {
  Bucket: string;
  Key: string;
}

function clientConfig(options: S3ClientOptions, requestTimeout: number): S3ClientConfig {
  return {
    region: options.region,
    forcePathStyle: options.pathStyle,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    maxAttempts: ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout,
      throwOnRequestTimeout: true,
    },
    // Stores other than Amazon's refuse the checksums that the SDK adds where none is asked for.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  };
}

/** @throws BlobError */
export async function attemptS3<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw s3Failure(error);
  }
}

const REASONS: Record<string, BlobFailure> = {
  NoSuchKey: 'missing',
  NotFound: 'missing',
  NoSuchBucket: 'refused',
  InvalidRange: 'range',
  PreconditionFailed: 'changed',
  CredentialsProviderError: 'refused',
};

/** The SDK's errors may quote requests: only their name and status go on. */
export function s3Failure(error: unknown): BlobError {
  if (error instanceof BlobError) return error;
  const name = error instanceof Error ? error.name : 'unknown';
  const status = statusOf(error);
  const reason = REASONS[name] ?? reasonOf(status);
  return new BlobError(reason, `S3: ${name}${status === null ? '' : ` (${status})`}`, error);
}

function reasonOf(status: number | null): BlobFailure {
  if (status === 404) return 'missing';
  if (status === 412) return 'changed';
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
