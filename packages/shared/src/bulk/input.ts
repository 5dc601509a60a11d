import type { BlobStore } from '../blobs/blob-store.ts';
import { fileBlobKey } from '../files.ts';
import type { ChunkPayload } from '../queues.ts';
import type { BatchDefinition } from './batch.ts';
import { type Line, splitLines } from './lines.ts';
import { MAX_LINE_BYTES } from './request-line.ts';

/** The lines of the whole input of a batch, or of one chunk of it. */
export async function* readInput(
  blobs: BlobStore,
  { input_file_id }: BatchDefinition,
  chunk?: Pick<ChunkPayload, 'start_byte' | 'end_byte' | 'first_line'>,
): AsyncGenerator<Line[]> {
  const key = fileBlobKey(input_file_id);
  const limits = { maxLineBytes: MAX_LINE_BYTES };
  if (chunk === undefined) {
    yield* splitLines(await blobs.read(key), limits);
    return;
  }
  const { start_byte: startByte, end_byte: end, first_line: firstLine } = chunk;
  const content = await blobs.read(key, { start: startByte, end });
  yield* splitLines(content, { ...limits, startByte, firstLine });
}
