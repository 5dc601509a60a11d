import { constants } from 'node:fs';
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { Readable } from 'node:stream';
import { BlobError, type ByteRange } from '../blobs/blob-store.ts';
import { BlobContent } from '../blobs/content.ts';
import { folderFailure } from '../blobs/folder.ts';
import type { ContentVersion, ReadableBlob } from './readable-blob.ts';

interface FileInputOptions {
  /** The folder that may be read. */
  root: string;
  /** The file's place below it. */
  segments: string[];
  /** What it must be; null: whatever it is. */
  version: string | null;
}

const RANGE_BYTES = 256 * 1024;
/** Without waiting for whoever writes, if it is a pipe; and never through a link. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/**
 * A file of a folder that others write. Links are followed as long as they stay within the folder;
 * what leads out of it, and what is no regular file, is as if it were not there.
 */
export function fileInput({ root, segments, version }: FileInputOptions): ReadableBlob {
  const path = join(root, ...segments);

  /** @returns where it really is; throws BlobError `missing` when that is outside of the folder */
  async function inside(): Promise<string> {
    const [real, folder] = await Promise.all([realpath(path), realpath(root)]);
    if (real.startsWith(folder.endsWith(sep) ? folder : folder + sep)) return real;
    throw new BlobError('missing', 'a link leads out of the folder of inputs');
  }

  async function opened(): Promise<{
    file: FileHandle;
    found: ContentVersion & { version: string };
  }> {
    const file = await open(await inside(), FLAGS);
    try {
      const info = await file.stat({ bigint: true });
      // A link may have been put in the way meanwhile: what is open must be what is inside.
      const there = await stat(await inside(), { bigint: true });
      const isSame = there.ino === info.ino && there.dev === info.dev;
      if (!isSame || !info.isFile()) throw new BlobError('missing', 'not a file of the folder');
      return { file, found: versionOf(info) };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async function current(): Promise<ContentVersion> {
    const { file, found } = await opened();
    await file.close();
    return found;
  }

  async function confirm(): Promise<void> {
    if (version !== null && (await current()).version !== version) throw changed();
  }

  return {
    async stat() {
      try {
        return await current();
      } catch (error) {
        const failure = folderFailure(error);
        if (failure.reason === 'missing') return null;
        throw failure;
      }
    },

    async read(range: ByteRange = { start: 0 }) {
      try {
        const { file, found } = await opened();
        try {
          if (version !== null && found.version !== version) throw changed();
          const content = contentOf(file, found.sizeBytes, range);
          if (content === null) await file.close();
          return new BlobContent(content ?? Readable.from([]), { failure: folderFailure, confirm });
        } catch (error) {
          await file.close();
          throw error;
        }
      } catch (error) {
        throw folderFailure(error);
      }
    },
  };
}

function versionOf({ size, mtimeNs }: { size: bigint; mtimeNs: bigint }) {
  return { sizeBytes: Number(size), version: `${size}-${mtimeNs}` };
}

function changed(): BlobError {
  return new BlobError('changed', 'the file is not what it was');
}

/** @returns null for an empty range */
function contentOf(file: FileHandle, size: number, range: ByteRange): Readable | null {
  const { start } = range;
  const end = Math.min(range.end ?? size, size);
  if (start > end || (start === size && size > 0)) {
    throw new BlobError('range', `the file has ${size} bytes, none from ${start} on`);
  }
  if (start === end) return null;
  return file.createReadStream({ start, end: end - 1, highWaterMark: RANGE_BYTES });
}
