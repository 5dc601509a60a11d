import { randomBytes } from 'node:crypto';
import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import type { StoredBatch } from '@headrace/shared/bulk/batch.ts';
import { partBlobKey } from '@headrace/shared/bulk/batch-blobs.ts';
import {
  type BatchLines,
  type BatchRequest,
  createBatchLines,
  type RefusedLine,
  type WrittenLines,
} from '@headrace/shared/bulk/batch-lines.ts';
import type { ChunkPart, FinishedChunk } from '@headrace/shared/bulk/batch-store.ts';
import { readChunk } from '@headrace/shared/bulk/input.ts';
import type { Line } from '@headrace/shared/bulk/lines.ts';
import { errorBody } from '@headrace/shared/errors.ts';
import type { Inputs } from '@headrace/shared/inputs/index.ts';
import type { ServedModel } from '@headrace/shared/model-catalogue.ts';
import type { ChunkPayload } from '@headrace/shared/queues.ts';
import type { ApartResult, ApartRun } from '../inference/apart-run.ts';
import type { Pipeline, RowSize } from '../inference/pipeline.ts';

export interface ChunkRunDeps {
  batch: StoredBatch;
  chunk: ChunkPayload;
  model: string;
  variant: string;
  /** The model that a line names. @throws AppError for another one than this worker runs */
  resolve: (name: string) => ServedModel;
  pipeline: Pipeline;
  blobs: BlobStore;
  inputs: Inputs;
  /** A run that takes longer fails its rows. */
  rowTimeoutMs: number;
}

type ReadLine = BatchRequest | RefusedLine;

interface Answer {
  written: WrittenLines;
  tokens: number;
}

/** One chunk from its byte range to its parts. */
export class ChunkRun {
  readonly #deps: ChunkRunDeps;
  readonly #run = randomBytes(6).toString('hex');
  readonly #abandoned = new AbortController();
  #apart: ApartRun | null = null;
  readonly #lines: BatchLines;
  readonly result: Promise<FinishedChunk>;

  constructor(deps: ChunkRunDeps) {
    this.#deps = deps;
    this.#lines = createBatchLines(deps.batch, deps.resolve);
    this.result = this.#finish();
    // Whoever abandons the run may not be listening to it yet.
    this.result.catch(() => undefined);
  }

  /** Drops what has not run; `result` rejects with the reason. */
  abandon(reason: Error): void {
    this.#abandoned.abort(reason);
    this.#apart?.abandon(reason);
  }

  /** Deletes its parts: another run of the chunk counts. */
  async discard(): Promise<void> {
    for (const kind of ['output', 'errors'] as const)
      await this.#deps.blobs.delete(this.#key(kind));
  }

  async #finish(): Promise<FinishedChunk> {
    const { batch, chunk } = this.#deps;
    const lines: ReadLine[] = [];
    for await (const some of readChunk(this.#deps, batch, chunk)) {
      for (const line of some) lines.push(this.#read(line));
    }
    this.#abandoned.signal.throwIfAborted();
    if (batch.definition.dry_run) return this.#sample(lines);
    const answers = await this.#answer(lines);
    const failed = answers.filter(({ written }) => written.errors !== null).length;
    const part = { output: await this.#write('output', answers), errors: null as string | null };
    part.errors = await this.#write('errors', answers);
    return {
      index: chunk.index,
      part,
      counts: {
        ...{ completed: answers.length - failed, failed },
        tokens: answers.reduce((sum, { tokens }) => sum + tokens, 0),
      },
    };
  }

  /** Tokenizes the rows and runs nothing. */
  async #sample(lines: ReadLine[]): Promise<FinishedChunk> {
    const rows = lines.flatMap((line) => {
      if ('error' in line) return [];
      const { overflow } = line.parameters;
      return line.rows.map((input) => ({ input, overflow }));
    });
    const { pipeline, chunk } = this.#deps;
    const measured = await pipeline.measure(rows);
    const sum = (pick: (row: RowSize) => number) => measured.reduce((a, row) => a + pick(row), 0);
    return {
      index: chunk.index,
      part: { output: null, errors: null },
      counts: {
        sampled_rows: measured.length,
        sampled_tokens: sum(({ tokens }) => tokens),
        sampled_squares: sum(({ tokens }) => tokens ** 2),
        sampled_truncated: sum(({ truncated }) => (truncated ? 1 : 0)),
      },
    };
  }

  /** In the order of the lines; those that are wrong cost nothing. */
  async #answer(lines: ReadLine[]): Promise<Answer[]> {
    const answers: Answer[] = [];
    const requests: { request: BatchRequest; at: number }[] = [];
    for (const [at, line] of lines.entries()) {
      if ('rows' in line) requests.push({ request: line, at });
      else answers[at] = { written: this.#lines.failed(line), tokens: 0 };
    }
    const { pipeline, rowTimeoutMs: timeoutMs } = this.#deps;
    this.#apart = pipeline.inferApart(
      requests.map(({ request }) => request),
      {
        timeoutMs,
        onAnswer: (index, result) => {
          const asked = requests[index];
          if (asked !== undefined) answers[asked.at] = this.#answered(asked.request, result);
        },
      },
    );
    await this.#apart.done;
    return answers;
  }

  #read(line: Line): ReadLine {
    const read = this.#lines.read(line);
    if ('error' in read || !this.#deps.chunk.duplicates.includes(line.number)) return read;
    const message = 'custom_id: an earlier line has it';
    const { origin, columns } = read;
    return { origin, columns, error: errorBody('invalid_request', message, 'custom_id') };
  }

  #answered(request: BatchRequest, { output, task, usage }: ApartResult): Answer {
    const { model, variant } = this.#deps;
    const result = { model, variant, task, output, usage };
    return { written: this.#lines.succeeded(request, result), tokens: usage.tokens };
  }

  /** @returns the key of the blob; null when there is nothing to write */
  async #write(kind: keyof ChunkPart, answers: Answer[]): Promise<string | null> {
    const lines = answers.flatMap(({ written }) => written[kind] ?? []);
    if (lines.length === 0) return null;
    const key = this.#key(kind);
    const { signal } = this.#abandoned;
    await this.#deps.blobs.put(key, piecesOf(lines), { signal });
    return key;
  }

  #key(kind: keyof ChunkPart): string {
    const { batch, chunk } = this.#deps;
    return partBlobKey(batch.definition.id, { index: chunk.index, run: this.#run, kind });
  }
}

const PIECE_CHARACTERS = 512 * 1024;

async function* piecesOf(lines: string[]): AsyncGenerator<Uint8Array> {
  let piece = '';
  for (const line of lines) {
    piece += line;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield Buffer.from(piece);
    piece = '';
  }
  if (piece.length > 0) yield Buffer.from(piece);
}
