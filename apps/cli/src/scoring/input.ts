import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { usage } from '../failure.ts';
import { STANDARD } from './file-format.ts';

type Bytes = AsyncIterable<Uint8Array>;

export interface Input {
  filename: string;
  /** Null for a pipe. */
  bytes: number | null;
  /** A file can be read again where an upload breaks, a pipe cannot. */
  content: Bytes | (() => Bytes);
}

/** Larger pieces than Node's own: each costs a turn of the loop here, and there. */
const PIECE_BYTES = 256 * 1024;

/** @throws Failure when there is no such file, or it is none */
export async function openInput(path: string, stdin: () => Readable): Promise<Input> {
  if (path === STANDARD) return { filename: 'stdin', bytes: null, content: stdin() };
  const found = await stat(path).catch(() => null);
  if (found === null) throw usage(`${path}: there is no such file`);
  if (found.isDirectory()) throw usage(`${path}: is a folder`);
  const read = () => createReadStream(path, { highWaterMark: PIECE_BYTES });
  const filename = basename(path);
  return found.isFile()
    ? { filename, bytes: found.size, content: read }
    : { filename, bytes: null, content: read() };
}
