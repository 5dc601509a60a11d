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
  type OnceSettled,
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

/** Content in the blob store. */
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
export function createFiles(deps: FilesDeps) {
  const { store, blobs, ttlS, now = Date.now } = deps;
  const content = createContents(deps);

  async function get(tenant: string, id: string): Promise<FileObject> {
    const file = isFileId(id) ? await store.read({ tenant, id }) : null;
    if (file === null) throw new AppError('not_found', { message: 'No such file.' });
    return file;
  }

  return {
    get,
    ...content,

    /** The file that content makes, by its name. */
    describe(stored: StoredContent, details: FileDetails, createdMs = now()): FileObject {
      const expiresAfterS = details.expiresAfterS ?? ttlS;
      return fileObject(stored, { ...details, expiresAfterS }, createdMs);
    },

    /**
     * Gives stored content its name: from now on the file is there.
     * @throws AppError `idempotency_in_progress` when another upload has come to hold the key
     */
    async create(tenant: string, file: FileObject, once: OnceSettled | null = null) {
      if (await store.save({ tenant, file }, once)) return file;
      throw new AppError('idempotency_in_progress');
    },

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
      await content.discard(tenant, id).catch(() => undefined);
    },
  };
}

/** Content of files that are not there yet. */
function createContents({ store, blobs, maxFileBytes, admit, now = Date.now }: FilesDeps) {
  async function discard(tenant: string, id: string): Promise<void> {
    await blobs.delete(fileBlobKey(id));
    await store.forget({ tenant, id });
  }

  return {
    discard,

    /**
     * Takes content in, as a stream.
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

    /** Reads content that nobody keeps, as far as it would be taken. @throws as `storeContent` */
    async skipContent(content: AsyncIterable<Uint8Array>): Promise<StoredContent> {
      let bytes = 0;
      for await (const chunk of bounded(content, maxFileBytes)) bytes += chunk.byteLength;
      return { id: '', bytes };
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
