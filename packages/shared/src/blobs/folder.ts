import { randomUUID } from 'node:crypto';
import type { Dirent } from 'node:fs';
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
} from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import {
  BlobError,
  type BlobFailure,
  type BlobInfo,
  type BlobStore,
  type ByteRange,
  checkKey,
  checkPrefix,
} from './blob-store.ts';
import { BlobContent } from './content.ts';

/** Unfinished writes; no key begins with a dot. */
const TEMPORARY = '.tmp';
/** A temporary file that nobody has touched for so long belongs to a process that is gone. */
const STALE_MS = 86_400_000;
const RANGE_BYTES = 256 * 1024;

/**
 * Blobs as files of one folder. A blob is written beside its place, synced, and then renamed into
 * it, so that neither a reader nor a crash ever sees a part of one.
 */
export class FolderBlobStore implements BlobStore {
  readonly #root: string;

  /** @param root made when the first blob is written */
  constructor(root: string) {
    this.#root = resolve(root);
  }

  async put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<number> {
    const path = this.#pathOf(key);
    const temporary = join(this.#root, TEMPORARY, randomUUID());
    try {
      await makeFolder(dirname(temporary));
      const file = await open(temporary, 'wx', 0o600);
      try {
        const bytes = await writeAll(file, body, signal);
        await file.close();
        await this.#place(temporary, path);
        return bytes;
      } catch (error) {
        await file.close().catch(() => undefined);
        await unlink(temporary).catch(() => undefined);
        throw error;
      }
    } catch (error) {
      throw putFailure(error);
    }
  }

  async stat(key: string): Promise<BlobInfo | null> {
    const path = this.#pathOf(key);
    return orNull(async () => {
      const { size, mtimeMs } = await stat(await this.#inside(path));
      return { key, sizeBytes: size, modifiedMs: mtimeMs };
    });
  }

  async read(key: string, range: ByteRange = { start: 0 }): Promise<Readable> {
    const path = this.#pathOf(key);
    return attempt(async () => {
      const file = await open(await this.#inside(path), 'r');
      const { size } = await file.stat();
      const end = Math.min(range.end ?? size, size);
      if (range.start > size || range.start > end || (range.start === size && size > 0)) {
        await file.close();
        throw new BlobError('range', `${key} has ${size} bytes, none from ${range.start} on`);
      }
      const start = range.start;
      // `end` is the last byte here: of an empty range there is none.
      if (start === end) {
        await file.close();
        return Readable.from([]);
      }
      const content = file.createReadStream({ start, end: end - 1, highWaterMark: RANGE_BYTES });
      return new BlobContent(content, { failure: folderFailure });
    });
  }

  async delete(key: string): Promise<void> {
    const path = this.#pathOf(key);
    await orNull(() => unlink(path));
    await this.#removeEmpty(dirname(path));
  }

  async *list(prefix: string): AsyncGenerator<BlobInfo> {
    checkPrefix(prefix);
    const cut = prefix.lastIndexOf('/') + 1;
    for await (const key of this.#keysIn(prefix.slice(0, cut))) {
      if (!key.startsWith(prefix)) continue;
      const info = await this.stat(key);
      if (info !== null) yield info;
    }
  }

  async deleteAll(prefix: string): Promise<void> {
    if (!prefix.endsWith('/')) throw new TypeError(`not a folder of blobs: ${prefix}`);
    const path = this.#pathOf(prefix.slice(0, -1));
    await attempt(() => rm(path, { recursive: true, force: true }));
    await this.#removeEmpty(dirname(path));
  }

  async sweep(nowMs = Date.now()): Promise<number> {
    const folder = join(this.#root, TEMPORARY);
    const names = (await orNull(() => readdir(folder))) ?? [];
    let swept = 0;
    for (const name of names) {
      const path = join(folder, name);
      const found = await orNull(() => stat(path));
      if (found === null || nowMs - found.mtimeMs < STALE_MS) continue;
      await orNull(() => unlink(path));
      swept += 1;
    }
    return swept;
  }

  async close(): Promise<void> {}

  #pathOf(key: string): string {
    checkKey(key);
    return join(this.#root, ...key.split('/'));
  }

  /** @throws BlobError `refused` for a link that leads out of the folder */
  async #inside(path: string): Promise<string> {
    const [real, root] = await Promise.all([realpath(path), realpath(this.#root)]);
    if (real.startsWith(root + sep)) return real;
    throw new BlobError('refused', 'a link leads out of the folder of blobs');
  }

  async #place(temporary: string, path: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      await makeFolder(dirname(path));
      try {
        await rename(temporary, path);
        await syncFolder(dirname(path));
        return;
      } catch (error) {
        // Whoever deleted the folder's last blob has removed the folder meanwhile.
        if (codeOf(error) !== 'ENOENT' || tries === 10) throw error;
      }
    }
  }

  async #removeEmpty(folder: string): Promise<void> {
    for (let at = folder; at.startsWith(this.#root + sep); at = dirname(at)) {
      try {
        await rmdir(at);
      } catch {
        return;
      }
    }
  }

  async *#keysIn(folder: string): AsyncGenerator<string> {
    const path = join(this.#root, folder);
    const entries = (await orNull(() => readdir(path, { withFileTypes: true }))) ?? [];
    const visible = entries.filter(({ name }) => !name.startsWith('.'));
    // As keys sort: what is below a folder comes where its name with a slash does.
    const sortKey = (entry: Dirent) => (entry.isDirectory() ? `${entry.name}/` : entry.name);
    visible.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
    for (const entry of visible) {
      if (entry.isDirectory()) yield* this.#keysIn(`${folder}${entry.name}/`);
      else yield `${folder}${entry.name}`;
    }
  }
}

async function writeAll(
  file: FileHandle,
  body: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<number> {
  let bytes = 0;
  for await (const chunk of body) {
    signal?.throwIfAborted();
    let written = 0;
    while (written < chunk.byteLength) {
      const { bytesWritten } = await file.write(chunk, written, chunk.byteLength - written);
      written += bytesWritten;
    }
    bytes += chunk.byteLength;
  }
  signal?.throwIfAborted();
  await file.sync();
  return bytes;
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function attempt<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw blobFailure(error);
  }
}

/** @returns null where there is nothing */
async function orNull<T>(act: () => Promise<T>): Promise<T | null> {
  try {
    return await act();
  } catch (error) {
    if (ABSENT.has(codeOf(error))) return null;
    throw blobFailure(error);
  }
}

const ABSENT = new Set(['ENOENT', 'ENOTDIR']);
const REASONS: Record<string, BlobFailure> = {
  ENOENT: 'missing',
  ENOTDIR: 'missing',
  EISDIR: 'missing',
  ENOSPC: 'full',
  EDQUOT: 'full',
  // The largest file that the process, or the file system, may write.
  EFBIG: 'full',
  EROFS: 'read-only',
  EACCES: 'refused',
  EPERM: 'refused',
};

/** What the caller's own stream fails with stays as it is. */
function blobFailure(error: unknown): unknown {
  return error instanceof Error && 'syscall' in error ? folderFailure(error) : error;
}

/** A write has nothing to miss: a folder that went away meanwhile is made again by the next try. */
function putFailure(error: unknown): unknown {
  const failure = blobFailure(error);
  if (!(failure instanceof BlobError) || failure.reason !== 'missing') return failure;
  return new BlobError('unavailable', failure.message, error);
}

/** @returns a BlobError for whatever it is */
export function folderFailure(error: unknown): BlobError {
  if (error instanceof BlobError) return error;
  const code = codeOf(error) || 'unknown';
  return new BlobError(REASONS[code] ?? 'unavailable', `the folder of files: ${code}`, error);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
