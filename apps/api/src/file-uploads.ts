import { createHash } from 'node:crypto';
import { AppError } from '@headrace/shared/errors.ts';
import type { FileObject } from '@headrace/shared/files.ts';
import { newFileId } from '@headrace/shared/ids.ts';
import type { OnceLease, TakeOnce } from '@headrace/shared/once.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import type { FileDetails, Files, StoredContent } from './files.ts';
import { fingerprintOf } from './middleware/idempotency.ts';

/** What becomes of the content of one upload. */
export interface FileUpload {
  /** An earlier request under the Idempotency-Key has made the file. */
  readonly replayed: boolean;
  take(content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<StoredContent>;
  /** @throws AppError `idempotency_mismatch`, `idempotency_in_progress` */
  finish(content: StoredContent, details: FileDetails): Promise<FileObject>;
  discard(content: StoredContent): Promise<void>;
  /** In the end, whatever came of it. */
  end(): Promise<void>;
}

export type OpenUpload = (tenant: string, digest: string | null) => Promise<FileUpload>;

/** A few of these outlast the lease of an upload that died. */
const IN_PROGRESS_RETRY_S = 5;

interface UploadDeps {
  files: Files;
  keys: Keyspace;
  takeOnce: TakeOnce;
  now?: () => number;
}

/** Uploads, once each where they have an Idempotency-Key: those that follow the first are compared. */
export function createFileUploads({
  files,
  keys,
  takeOnce,
  now = Date.now,
}: UploadDeps): OpenUpload {
  function plain(tenant: string): FileUpload {
    return {
      replayed: false,
      take: (content, signal) => files.storeContent(tenant, content, signal),
      finish: (content, details) => files.create(tenant, files.describe(content, details)),
      discard: ({ id }) => files.discard(tenant, id),
      end: async () => {},
    };
  }

  function first(tenant: string, lease: OnceLease): FileUpload {
    const { tap, digest } = createDigest();
    return {
      ...plain(tenant),
      take: (content, signal) => files.storeContent(tenant, tap(content), signal),
      async finish(content, details) {
        const createdMs = now();
        const file = files.describe(content, details, createdMs);
        const fingerprint = fingerprintOf('files', { ...details, sha256: digest() });
        const keep = [fingerprint, file.id, createdMs].join(' ');
        return await files.create(tenant, file, { key: lease.key, token: lease.token, keep });
      },
      end: () => lease.release().catch(() => undefined),
    };
  }

  function after(kept: string): FileUpload {
    const { tap, digest } = createDigest();
    return {
      replayed: true,
      take: (content) => files.skipContent(tap(content)),
      async finish(content, details) {
        const [fingerprint, id = '', createdMs] = kept.split(' ');
        if (fingerprint !== fingerprintOf('files', { ...details, sha256: digest() })) {
          throw new AppError('idempotency_mismatch');
        }
        return files.describe({ ...content, id }, details, Number(createdMs));
      },
      discard: async () => {},
      end: async () => {},
    };
  }

  return async (tenant, digest) => {
    if (digest === null) return plain(tenant);
    const taken = await takeOnce(keys.once(digest), newFileId(now()));
    if (typeof taken === 'string') return after(taken);
    if ('held' in taken) {
      throw new AppError('idempotency_in_progress', { retryAfterS: IN_PROGRESS_RETRY_S });
    }
    return first(tenant, taken);
  };
}

/** The SHA-256 of content that goes by. */
function createDigest() {
  const hash = createHash('sha256');
  return {
    async *tap(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of content) {
        hash.update(chunk);
        yield chunk;
      }
    },
    digest: () => hash.digest('base64url'),
  };
}
