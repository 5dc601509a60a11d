import type { Readable } from 'node:stream';
import type { BlobStore, ByteRange } from '../blobs/blob-store.ts';

export interface ContentVersion {
  sizeBytes: number;
  /** Another one when the content may be another; null for what never changes. */
  version: string | null;
}

/** One blob to be read, wherever it is. */
export interface ReadableBlob {
  /** @returns null when it is not there */
  stat(): Promise<ContentVersion | null>;
  /** @throws BlobError `missing`, `range`, or `changed` when it is not what it is to be any more */
  read(range?: ByteRange): Promise<Readable>;
}

/** A blob of the store, which is written once. */
export function storedBlob(blobs: BlobStore, key: string): ReadableBlob {
  return {
    async stat() {
      const info = await blobs.stat(key);
      return info === null ? null : { sizeBytes: info.sizeBytes, version: null };
    },
    read: (range) => blobs.read(key, range),
  };
}
