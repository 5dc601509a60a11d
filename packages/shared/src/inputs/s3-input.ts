import { Readable } from 'node:stream';
import type { ByteRange } from '../blobs/blob-store.ts';
import type { S3Object, S3Objects } from '../blobs/s3-client.ts';
import type { ReadableBlob } from './readable-blob.ts';

interface S3InputOptions {
  /** Opened when it is first used. */
  store: () => Promise<S3Objects>;
  object: S3Object;
  /** What it must be; null: whatever it is. */
  version: string | null;
}

/** An object of a bucket that others write. */
export function s3Input({ store, object, version }: S3InputOptions): ReadableBlob {
  const etag = version === null ? '' : version.slice(version.indexOf('-') + 1);
  return {
    async stat() {
      const found = await (await store()).stat(object);
      if (found === null) return null;
      const { sizeBytes } = found;
      return { sizeBytes, version: `${sizeBytes}-${found.etag}` };
    },

    async read(range: ByteRange = { start: 0 }) {
      if (range.start === range.end) return Readable.from([]);
      return (await store()).read(object, range, etag || undefined);
    },
  };
}
