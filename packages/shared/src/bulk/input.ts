import type { BlobStore } from '../blobs/blob-store.ts';
import type { Inputs } from '../inputs/index.ts';
import type { ChunkPayload } from '../queues.ts';
import type { StoredBatch } from './batch.ts';
import { stagedBlobKey } from './batch-blobs.ts';
import { MAX_LINE_BYTES } from './line-json.ts';
import { type Line, splitLines } from './lines.ts';
import { decodeStaged } from './staged-line.ts';

/** A staged line may be longer by its number. */
const PREFIX_BYTES = 32;

/**
 * The lines of one chunk of a batch that is planned.
 * @throws BlobError; `changed` when the input is not what was planned
 */
export async function* readChunk(
  { blobs, inputs }: { blobs: BlobStore; inputs: Inputs },
  { definition, state }: StoredBatch,
  chunk: Pick<ChunkPayload, 'start_byte' | 'end_byte' | 'first_line'>,
): AsyncGenerator<Line[]> {
  const { start_byte: start, end_byte: end, first_line: firstLine } = chunk;
  const isStaged = state.staged === 1;
  const content = isStaged
    ? await blobs.read(stagedBlobKey(definition.id), { start, end })
    : await inputs.open(definition, state.input_version).read({ start, end });
  const lines = splitLines(content, {
    ...{ startByte: start, firstLine },
    maxLineBytes: MAX_LINE_BYTES + (isStaged ? PREFIX_BYTES : 0),
  });
  for await (const some of lines) yield isStaged ? some.map(decodeStaged) : some;
}
