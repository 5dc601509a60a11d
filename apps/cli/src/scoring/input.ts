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
  /** Waits for no more of a pipe that nobody reads any more. */
  close(): void;
}

/** Whether the server is to read it where it is. */
export function isInputUrl(path: string): boolean {
  return /^(s3|file):\/\//.test(path);
}

/** Larger pieces than Node's own: each costs a turn of the loop here, and there. */
const PIECE_BYTES = 256 * 1024;

/** @throws Failure when there is no such file, or it is none */
export async function openInput(path: string, stdin: () => Readable): Promise<Input> {
  if (path === STANDARD) return pipe('stdin', stdin());
  const found = await stat(path).catch(() => null);
  if (found === null) throw usage(`${path}: there is no such file`);
  if (found.isDirectory()) throw usage(`${path}: is a folder`);
  const filename = basename(path);
  const read = () => createReadStream(path, { highWaterMark: PIECE_BYTES });
  if (!found.isFile()) return pipe(filename, read());
  return { filename, bytes: found.size, content: read, close: () => {} };
}

function pipe(filename: string, content: Readable): Input {
  return { filename, bytes: null, content, close: () => content.destroy() };
}
