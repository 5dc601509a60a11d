import type { Readable } from 'node:stream';
import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import { isTerminal, type StoredBatch } from '@headrace/shared/bulk/batch.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { splitLines } from '@headrace/shared/bulk/lines.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { fileBlobKey } from '@headrace/shared/files.ts';

export interface ResultsQuery {
  after: string | null;
  limit: number;
  kind: 'output' | 'errors';
}

export interface ResultsPage {
  data: unknown[];
  /** Where the next page begins, also if there is nothing there yet. */
  next: string;
  has_more: boolean;
  /** No more will come. */
  finished: boolean;
}

/** A page ends with the line that exceeds it. */
const PAGE_BYTES = 4 * 1024 ** 2;
const MAX_LINE_BYTES = 64 * 1024 ** 2;
const CHUNKS_A_READ = 100;

/** Where a reader is: in a part while the batch runs, and in the file of all parts afterwards. */
interface Place {
  chunk: number;
  /** Within the part of the chunk. */
  byte: number;
  /** Within the output as a whole. */
  total: number;
}

/** Reads the rows of a batch that are finished, in the order of the input, while others still run. */
export function createBatchResults({ store, blobs }: { store: BatchStore; blobs: BlobStore }) {
  /** Fills the page from parts, up to the first chunk that is not done and may still be. */
  async function fromParts(page: Page, batch: StoredBatch, kind: ResultsQuery['kind']) {
    const { definition, state } = batch;
    while (page.place.chunk < state.chunks) {
      const { chunk } = page.place;
      const parts = await store.parts(definition.id, chunk, chunk + CHUNKS_A_READ);
      for (const part of parts) {
        if (part === null && !isTerminal(state.status)) return;
        const key = part?.[kind] ?? null;
        if (key !== null) await page.fill(await tail(key, page.place.byte), page.place.byte);
        if (page.full) return;
        page.nextChunk();
      }
    }
  }

  /** @throws AppError `invalid_request` when the rows of a table are in its file alone */
  async function expectParts({ definition, state }: StoredBatch, format: string): Promise<void> {
    if (state.done_chunks === 0 || (await store.hasParts(definition.id))) return;
    const message = `The batch is ${state.status} and its output is ${format}: download the file.`;
    throw new AppError('invalid_request', { message });
  }

  async function fromFile(page: Page, fileId: string): Promise<void> {
    await page.fill(await tail(fileBlobKey(fileId), page.place.total), page.place.total);
  }

  /** The rest of a blob; null at its end. */
  async function tail(key: string, start: number): Promise<Readable | null> {
    const info = await blobs.stat(key);
    return info === null || start >= info.sizeBytes ? null : blobs.read(key, { start });
  }

  return async (batch: StoredBatch, query: ResultsQuery): Promise<ResultsPage> => {
    const { state, definition } = batch;
    const page = new Page(parsePlace(query.after), query.limit);
    const finished = isTerminal(state.status);
    const format = definition.scoring?.output.format ?? 'jsonl';
    if (!finished) {
      await fromParts(page, batch, query.kind);
    } else if (query.kind === 'output' && format !== 'jsonl') {
      await expectParts(batch, format);
      await fromParts(page, batch, query.kind);
    } else {
      const file = query.kind === 'output' ? state.output_file_id : state.error_file_id;
      if (file !== null) await fromFile(page, file);
    }
    const { data, full } = page;
    return { data, next: page.cursor, has_more: full, finished: finished && !full };
  };
}

class Page {
  readonly data: unknown[] = [];
  readonly place: Place;
  readonly #limit: number;
  #bytes = 0;

  constructor(place: Place, limit: number) {
    this.place = place;
    this.#limit = limit;
  }

  get full(): boolean {
    return this.data.length >= this.#limit || this.#bytes >= PAGE_BYTES;
  }

  get cursor(): string {
    const { chunk, byte, total } = this.place;
    return [chunk, byte, total].map((n) => n.toString(36)).join('-');
  }

  nextChunk(): void {
    this.place.chunk += 1;
    this.place.byte = 0;
  }

  /** Takes lines until the page is full, or there are no more. */
  async fill(content: Readable | null, startByte: number): Promise<void> {
    if (content === null) return;
    try {
      const options = { maxLineBytes: MAX_LINE_BYTES, startByte };
      for await (const lines of splitLines(content, options)) {
        for (const { bytes, endByte, startByte: from } of lines) {
          if (this.full) return;
          this.data.push(JSON.parse(Buffer.from(bytes ?? []).toString()));
          const length = endByte - from;
          this.#bytes += length;
          this.place.byte += length;
          this.place.total += length;
        }
      }
    } finally {
      content.destroy();
    }
  }
}

const CURSOR = /^([0-9a-z]{1,10})-([0-9a-z]{1,10})-([0-9a-z]{1,10})$/;

/** @throws AppError `invalid_request` */
function parsePlace(after: string | null): Place {
  if (after === null) return { chunk: 0, byte: 0, total: 0 };
  const [, ...numbers] = CURSOR.exec(after) ?? [];
  const [chunk, byte, total] = numbers.map((n) => Number.parseInt(n, 36));
  if (chunk !== undefined && byte !== undefined && total !== undefined) {
    return { chunk, byte, total };
  }
  const message = 'after: must be the `next` of a page before';
  throw new AppError('invalid_request', { message, param: 'after' });
}
