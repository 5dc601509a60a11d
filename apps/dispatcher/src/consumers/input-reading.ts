import { BlobError, type BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import type { BatchError, StoredBatch } from '@headrace/shared/bulk/batch.ts';
import { stagedBlobKey } from '@headrace/shared/bulk/batch-blobs.ts';
import { type BatchLines, createBatchLines } from '@headrace/shared/bulk/batch-lines.ts';
import { ChunkCutter } from '@headrace/shared/bulk/chunk-plan.ts';
import { DuplicateIds } from '@headrace/shared/bulk/duplicate-ids.ts';
import { MAX_LINE_BYTES } from '@headrace/shared/bulk/line-json.ts';
import { type Line, splitLines } from '@headrace/shared/bulk/lines.ts';
import { oneModel } from '@headrace/shared/bulk/one-model.ts';
import { encodeStaged, type StagedRow } from '@headrace/shared/bulk/staged-line.ts';
import { type Column, ColumnFinder } from '@headrace/shared/bulk/table.ts';
import { fileBlobKey } from '@headrace/shared/files.ts';
import type { Inputs } from '@headrace/shared/inputs/index.ts';
import type { ReadableBlob } from '@headrace/shared/inputs/readable-blob.ts';
import type { ModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import type { Compression } from '../formats/compression.ts';
import { failedRows } from '../formats/failed-rows.ts';
import { FormatError } from '../formats/format-error.ts';
import { hasLines, inputCompression, openRows, type RowSource } from '../formats/read-rows.ts';

export interface InputReadingDeps {
  blobs: BlobStore;
  inputs: Inputs;
  models: ModelCatalogue;
  chunkRows: number;
  chunkBytes: number;
  /** Most bytes that a compressed input may expand to. */
  maxInputBytes: number;
}

/** Problems that a batch shows; the rest only count. */
const MAX_SHOWN = 100;

/** One pass over the input of a batch: every row is checked, and what can be cut anywhere is cut. */
export class InputReading {
  readonly cutter: ChunkCutter;
  readonly ids = new DuplicateIds();
  readonly problems: BatchError[] = [];
  model: string | null = null;
  total = 0;
  /** Rows that can be run. */
  good = 0;
  /** Whether the rows were written anew. */
  staged = false;
  columns: Column[] = [];
  /** What the input was, if others may change it. */
  version: string | null = null;
  readonly #deps: InputReadingDeps;
  readonly #batch: StoredBatch;
  readonly #errorFile: string | null;
  readonly #lines: BatchLines;
  readonly #finder: ColumnFinder | null;

  /** @param errorFile of the batch of which only the failed rows are read; null: all are */
  constructor(deps: InputReadingDeps, batch: StoredBatch, errorFile: string | null) {
    this.#deps = deps;
    this.#errorFile = errorFile;
    this.#batch = batch;
    this.cutter = new ChunkCutter({ maxRows: deps.chunkRows, maxBytes: deps.chunkBytes });
    this.#lines = createBatchLines(
      batch,
      oneModel(deps.models, () => this.model),
    );
    this.#finder = batch.definition.scoring?.output.join ? new ColumnFinder() : null;
  }

  /**
   * @param signal ends it between two reads
   * @throws FormatError when the input is not what it is said to be; BlobError; the signal's reason
   */
  async run(signal: AbortSignal): Promise<void> {
    const { definition } = this.#batch;
    const input = await this.#open();
    const compression = await inputCompression(input, definition);
    const isWhole = this.#errorFile === null;
    const canBeCut = isWhole && compression === 'none' && hasLines(definition);
    let columns: Column[] | null = null;
    if (canBeCut) await this.#readLines(input, signal);
    else columns = await this.#stage(input, { compression, signal });
    if (this.#finder !== null) this.columns = columns ?? this.#found(this.#finder);
    if (this.total === 0) this.problems.push(this.#nothing());
  }

  /** The input as it is now, which it has to be until the last chunk of it is read. */
  async #open(): Promise<ReadableBlob> {
    const { inputs } = this.#deps;
    const { definition } = this.#batch;
    const found = await inputs.open(definition, null).stat();
    if (found === null) throw new BlobError('missing', 'the input does not exist');
    this.version = found.version;
    const { input_version } = definition;
    if (input_version === null || input_version === found.version) {
      return inputs.open(definition, found.version);
    }
    throw new BlobError('changed', 'the input is not that of the batch that is tried again');
  }

  async #readLines(input: ReadableBlob, signal: AbortSignal): Promise<void> {
    const content = await input.read();
    for await (const lines of splitLines(content, { maxLineBytes: MAX_LINE_BYTES })) {
      signal.throwIfAborted();
      for (const line of lines) this.#take(line);
    }
  }

  /** @returns the columns that the input declares */
  async #stage(
    input: ReadableBlob,
    { compression, signal }: { compression: Compression; signal: AbortSignal },
  ) {
    const { blobs, maxInputBytes: maxBytes } = this.#deps;
    const { definition } = this.#batch;
    const source = await openRows(definition, { input, maxBytes, compression });
    const rows = this.#errorFile === null ? source.rows : await this.#failed(source.rows);
    await blobs.put(stagedBlobKey(definition.id), this.#written(rows, signal));
    this.staged = true;
    return source.columns();
  }

  async #failed(rows: RowSource['rows']): Promise<RowSource['rows']> {
    const key = fileBlobKey(this.#errorFile ?? '');
    return failedRows(rows, await this.#deps.blobs.read(key));
  }

  async *#written(
    groups: AsyncIterable<StagedRow[]>,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let startByte = 0;
    for await (const rows of groups) {
      signal.throwIfAborted();
      const written = rows.map((row) => Buffer.from(encodeStaged(row)));
      for (const [i, { number, content, problem: why }] of rows.entries()) {
        const endByte = startByte + (written[i]?.length ?? 0);
        const bytes = content === null ? null : Buffer.from(content);
        this.#take({ number, startByte, endByte, bytes, problem: why });
        startByte = endByte;
      }
      if (written.length > 0) yield Buffer.concat(written);
    }
  }

  #take(line: Line): void {
    this.total += 1;
    this.cutter.add(line);
    const read = this.#lines.read(line);
    this.#finder?.add(read.columns);
    const { customId } = read.origin;
    if (this.#lines.uniqueIds && customId !== null) this.ids.add(customId, line.number);
    if (!('error' in read)) {
      this.good += 1;
      this.model ??= read.model;
    } else if (this.problems.length < MAX_SHOWN) {
      const { code, message, param } = read.error;
      this.problems.push({ code, message, param, line: line.number });
    }
  }

  #nothing(): BatchError {
    if (this.#errorFile === null) return problem('empty_file', 'The file has no rows.');
    const message = 'No row failed for a reason that another try could change.';
    return problem('nothing_to_retry', message);
  }

  #found(finder: ColumnFinder): Column[] {
    if (finder.bounded) return finder.columns;
    const message = 'The rows have more different fields than can be joined.';
    throw new FormatError('too_many_columns', message);
  }
}

export function problem(code: string, message: string): BatchError {
  return { code, message, param: null, line: null };
}
