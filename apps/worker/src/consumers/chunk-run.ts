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
import type { InferenceRequest, InferenceRun, Pipeline, RowSize } from '../inference/pipeline.ts';
import type { InferenceResult } from '../inference/result.ts';

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

interface Answer {
  written: WrittenLines;
  tokens: number;
}

/** One chunk from its byte range to its parts. */
export class ChunkRun {
  readonly #deps: ChunkRunDeps;
  readonly #run = randomBytes(6).toString('hex');
  readonly #abandoned = new AbortController();
  readonly #open = new Set<InferenceRun>();
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
    for (const run of this.#open) run.abandon(reason);
  }

  /** Deletes its parts: another run of the chunk counts. */
  async discard(): Promise<void> {
    for (const kind of ['output', 'errors'] as const)
      await this.#deps.blobs.delete(this.#key(kind));
  }

  async #finish(): Promise<FinishedChunk> {
    const { batch, chunk } = this.#deps;
    const lines: Line[] = [];
    for await (const some of readChunk(this.#deps, batch, chunk)) lines.push(...some.map(kept));
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
  async #sample(lines: Line[]): Promise<FinishedChunk> {
    const rows = lines.flatMap((line) => {
      const read = this.#lines.read(line);
      return 'error' in read ? [] : read.rows.map((row) => ({ row, ...read.parameters }));
    });
    const { pipeline, chunk } = this.#deps;
    const measured = await Promise.all(
      rows.map(({ row, overflow }) => pipeline.measure(row, overflow)),
    );
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
  async #answer(lines: Line[]): Promise<Answer[]> {
    const read = lines.map((line) => this.#read(line));
    const requests = read.filter((line) => 'rows' in line);
    const runs = this.#deps.pipeline.inferApart(
      requests.map((request) => this.#inference(request)),
    );
    for (const run of runs) this.#open.add(run);
    const answered = requests.map(async (request, i) => {
      const result = await runs[i]?.result;
      return result === undefined ? null : this.#answered(request, result);
    });
    const answers = new Map(requests.map((request, i) => [request, answered[i]]));
    const inOrder = read.map((line) =>
      'rows' in line ? answers.get(line) : { written: this.#lines.failed(line), tokens: 0 },
    );
    const settled = await Promise.all(inOrder);
    return settled.flatMap((answer) => answer ?? []);
  }

  #read(line: Line): BatchRequest | RefusedLine {
    const read = this.#lines.read(line);
    if ('error' in read || !this.#deps.chunk.duplicates.includes(line.number)) return read;
    const message = 'custom_id: an earlier line has it';
    const { origin, columns } = read;
    return { origin, columns, error: errorBody('invalid_request', message, 'custom_id') };
  }

  #inference({ rows, parameters }: BatchRequest): InferenceRequest {
    const { rowTimeoutMs: timeoutMs } = this.#deps;
    return { rows, parameters, startTime: 0, timeoutMs, onStart: () => {} };
  }

  #answered(request: BatchRequest, { output, task, usage }: InferenceResult): Answer {
    const { model, variant } = this.#deps;
    const { rows, tokens, failed_rows } = usage;
    const result = { model, variant, task, output, usage: { rows, tokens, failed_rows } };
    return { written: this.#lines.succeeded(request, result), tokens };
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

/** The bytes of a line are the reader's until it reads on. */
function kept(line: Line): Line {
  return { ...line, bytes: line.bytes === null ? null : Buffer.from(line.bytes) };
}

const LINES_A_WRITE = 256;

async function* piecesOf(lines: string[]): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < lines.length; at += LINES_A_WRITE) {
    yield Buffer.from(lines.slice(at, at + LINES_A_WRITE).join(''));
  }
}
