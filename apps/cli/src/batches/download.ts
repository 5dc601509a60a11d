import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip, createZstdCompress } from 'node:zlib';
import { outputPacking, type Packing, STANDARD } from '../scoring/file-format.ts';
import type { Session } from '../session.ts';

interface Download {
  fileId: string;
  /** A file, or the standard output. */
  path: string;
  label: string;
}

/** Brings a file here at the pace of its target. */
export async function download(session: Session, { fileId, path, label }: Download): Promise<void> {
  const { client, terminal, interrupt } = session;
  const content = await client.files.content(fileId, { signal: interrupt, maxRetries: 10 });
  const watched = watch(content.stream, (done) => {
    terminal.progress.show({ label, done, total: content.bytes, unit: 'bytes' });
  });
  await save(watched, { path, stdout: terminal.stdout, signal: interrupt });
  terminal.progress.clear();
}

interface Target {
  path: string;
  stdout: Writable;
  signal: AbortSignal;
}

/** Writes beside the target and puts it in its place at the end: it is there whole or not at all. */
export async function save(content: AsyncIterable<Uint8Array>, target: Target): Promise<void> {
  const { path, stdout, signal } = target;
  const source = Readable.from(content, { objectMode: false });
  if (path === STANDARD) return pipeline(source, stdout, { end: false, signal });
  const partial = `${path}.${process.pid}.part`;
  try {
    await writeFile(source, partial, { packing: outputPacking(path), signal });
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

interface WriteOptions {
  packing: Packing | null;
  signal: AbortSignal;
}

function writeFile(source: Readable, path: string, { packing, signal }: WriteOptions) {
  const file = createWriteStream(path, { flush: true });
  if (packing === null) return pipeline(source, file, { signal });
  const packer = packing === 'gzip' ? createGzip() : createZstdCompress();
  return pipeline(source, packer, file, { signal });
}

async function* watch(
  stream: ReadableStream<Uint8Array>,
  onProgress: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const piece of stream) {
    yield piece;
    bytes += piece.byteLength;
    onProgress(bytes);
  }
}
