import type { BlobStore } from '../blobs/blob-store.ts';
import { fileBlobKey } from '../files.ts';
import type { ChunkPayload } from '../queues.ts';
import type { StoredBatch } from './batch.ts';
import { stagedBlobKey } from './batch-blobs.ts';
import { MAX_LINE_BYTES } from './line-json.ts';
import { type Line, splitLines } from './lines.ts';
import { decodeStaged } from './staged-line.ts';

/** A staged line may be longer by its number. */
const PREFIX_BYTES = 32;

/** The lines of one chunk of a batch that is planned. */
export async function* readChunk(
  blobs: BlobStore,
  { definition, state }: StoredBatch,
  chunk: Pick<ChunkPayload, 'start_byte' | 'end_byte' | 'first_line'>,
): AsyncGenerator<Line[]> {
  const { start_byte: start, end_byte: end, first_line: firstLine } = chunk;
  const isStaged = state.staged === 1;
  const key = isStaged ? stagedBlobKey(definition.id) : fileBlobKey(definition.input_file_id);
  const lines = splitLines(await blobs.read(key, { start, end }), {
    ...{ startByte: start, firstLine },
    maxLineBytes: MAX_LINE_BYTES + (isStaged ? PREFIX_BYTES : 0),
  });
  for await (const some of lines) yield isStaged ? some.map(decodeStaged) : some;
}
