import type { Readable } from 'node:stream';
import { BlobError, type BlobStore, type ByteRange } from '@headrace/shared/blobs/blob-store.ts';
import { AppError } from '@headrace/shared/errors.ts';
import {
  type FileObject,
  type FilePage,
  type FilePageOptions,
  type FileStore,
  fileBlobKey,
  fileObject,
  type UPLOAD_PURPOSES,
} from '@headrace/shared/files.ts';
import { isFileId, newFileId } from '@headrace/shared/ids.ts';

/** An upload that takes longer is taken for dead, and what has come of it may be deleted. */
const UPLOAD_LEASE_MS = 86_400_000;

export interface FilesDeps {
  store: FileStore;
  blobs: BlobStore;
  maxFileBytes: number;
  /** How long a file is kept unless the upload says otherwise. */
  ttlS: number;
  /** @throws AppError when no bulk work is admitted at the moment */
  admit: () => void;
  now?: () => number;
}

export interface StoredContent {
  id: string;
  bytes: number;
}

export interface FileDetails {
  filename: string;
  purpose: (typeof UPLOAD_PURPOSES)[number];
  /** Seconds after its creation; null: the default. */
  expiresAfterS: number | null;
}

export type Files = ReturnType<typeof createFiles>;

/** Uploads, listing, reading and deleting of files, content in the blob store. */
export function createFiles({
  store,
  blobs,
  maxFileBytes,
  ttlS,
  admit,
  now = Date.now,
}: FilesDeps) {
  async function get(tenant: string, id: string): Promise<FileObject> {
    const file = isFileId(id) ? await store.read({ tenant, id }) : null;
    if (file === null) throw new AppError('not_found', { message: 'No such file.' });
    return file;
  }

  async function discard(tenant: string, id: string): Promise<void> {
    await blobs.delete(fileBlobKey(id));
    await store.forget({ tenant, id });
  }

  return {
    get,

    /**
     * Takes content in, as a stream, for a file that is not there yet.
     * @throws AppError `body_too_large`; nothing is left of what had come
     */
    async storeContent(tenant: string, content: AsyncIterable<Uint8Array>, signal: AbortSignal) {
      admit();
      const nowMs = now();
      const id = newFileId(nowMs);
      await store.reserve({ tenant, id }, nowMs + UPLOAD_LEASE_MS);
      const body = bounded(content, maxFileBytes);
      try {
        return { id, bytes: await blobs.put(fileBlobKey(id), body, { signal }) };
      } catch (error) {
        // If this fails too, the sweep does it.
        await discard(tenant, id).catch(() => undefined);
        throw error;
      }
    },

    /** Gives stored content its name: from now on the file is there. */
    async create(tenant: string, content: StoredContent, details: FileDetails) {
      const expiresAfterS = details.expiresAfterS ?? ttlS;
      const file = fileObject(content, { ...details, expiresAfterS }, now());
      await store.save({ tenant, file });
      return file;
    },

    discard,

    list: (options: FilePageOptions): Promise<FilePage> => store.list(options),

    /** Streams the content of a file or a part of it. @throws AppError `not_found` */
    async open(id: string, range?: ByteRange): Promise<Readable> {
      try {
        return await blobs.read(fileBlobKey(id), range);
      } catch (error) {
        const missing = error instanceof BlobError && error.reason === 'missing';
        throw missing
          ? new AppError('not_found', { message: 'No such file.', cause: error })
          : error;
      }
    },

    async remove(tenant: string, id: string): Promise<void> {
      await get(tenant, id);
      if (!(await store.remove({ tenant, id }))) throw new AppError('not_found');
      // The file is gone for everybody; content that cannot be deleted now is left to the sweep.
      await discard(tenant, id).catch(() => undefined);
    },
  };
}

async function* bounded(
  content: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of content) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) {
      throw new AppError('body_too_large', {
        message: `file has more than ${maxBytes} bytes`,
        param: 'file',
      });
    }
    yield chunk;
  }
}
