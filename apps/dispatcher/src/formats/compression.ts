import { pipeline, type Readable, type Transform } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { BlobError } from '@headrace/shared/blobs/blob-store.ts';
import type { Documents } from '@headrace/shared/bulk/documents.ts';
import type { ReadableBlob } from '@headrace/shared/inputs/readable-blob.ts';
import { FormatError } from './format-error.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

const MAGIC: Record<Exclude<Compression, 'none'>, Buffer> = {
  gzip: Buffer.from([0x1f, 0x8b]),
  zstd: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]),
};

/** What the first bytes of an input say, unless the caller has said it. */
export async function compressionOf(
  input: ReadableBlob,
  declared: Documents['compression'],
): Promise<Compression> {
  if (declared !== 'auto') return declared;
  const head = await firstBytes(input);
  for (const [name, magic] of Object.entries(MAGIC)) {
    if (head.subarray(0, magic.length).equals(magic)) return name as keyof typeof MAGIC;
  }
  return 'none';
}

async function firstBytes(input: ReadableBlob): Promise<Buffer> {
  try {
    return await buffer(await input.read({ start: 0, end: 4 }));
  } catch (error) {
    if (error instanceof BlobError && error.reason === 'range') return Buffer.alloc(0);
    throw error;
  }
}

/**
 * The content of an input, expanded.
 * @throws FormatError when it is broken, ends too early, or is more than `maxBytes`
 */
export async function* expand(
  content: Readable,
  compression: Compression,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  if (compression === 'none') {
    yield* content;
    return;
  }
  const expanded: Transform = compression === 'gzip' ? createGunzip() : createZstdDecompress();
  // What goes wrong in either comes out of the reading below.
  const pieces = pipeline(content, expanded, () => undefined);
  let bytes = 0;
  try {
    for await (const piece of pieces) {
      bytes += piece.length;
      if (bytes > maxBytes) throw tooMuch(maxBytes);
      yield piece;
    }
  } catch (error) {
    throw isZlib(error) ? broken(compression, bytes, error) : error;
  } finally {
    content.destroy();
    expanded.destroy();
  }
}

function tooMuch(maxBytes: number): FormatError {
  const message = `The input expands to more than ${maxBytes} bytes.`;
  return new FormatError('input_too_large', message);
}

function broken(compression: Compression, bytes: number, error: Error): FormatError {
  const end = /unexpected end/i.test(error.message) ? 'ends too early' : 'is broken';
  const message = `The ${compression} data ${end}, ${bytes} expanded bytes from its beginning.`;
  return new FormatError('invalid_compression', message);
}

function isZlib(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^(Z_|ZSTD_)/.test(String(error.code));
}
