import { randomBytes } from 'node:crypto';
import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import type { StoredBatch } from '@headrace/shared/bulk/batch.ts';
import { partBlobKey } from '@headrace/shared/bulk/batch-blobs.ts';
import type { ChunkPart, FinishedChunk } from '@headrace/shared/bulk/batch-store.ts';
import { readInput } from '@headrace/shared/bulk/input.ts';
import type { Line } from '@headrace/shared/bulk/lines.ts';
import { type BatchRequest, parseRequestLine } from '@headrace/shared/bulk/request-line.ts';
import { errorLine, outputLine, requestError } from '@headrace/shared/bulk/result-line.ts';
import { errorBody } from '@headrace/shared/errors.ts';
import type { ServedModel } from '@headrace/shared/model-catalogue.ts';
import type { ChunkPayload } from '@headrace/shared/queues.ts';
import type { InferenceRun, Pipeline } from '../inference/pipeline.ts';

export interface ChunkRunDeps {
  batch: StoredBatch;
  chunk: ChunkPayload;
  model: string;
  variant: string;
  /** The model that a line names. @throws AppError for another one than this worker runs */
  resolve: (name: string) => ServedModel;
  pipeline: Pipeline;
  blobs: BlobStore;
  /** A run that takes longer fails its rows. */
  rowTimeoutMs: number;
}

/** Later than every interactive row: those are first in order whenever a tensor batch is formed. */
const AFTER_INTERACTIVE = 2 ** 28;

interface Answer {
  line: string;
  failed: boolean;
  tokens: number;
}

/** One chunk from its byte range to its parts. */
export class ChunkRun {
  readonly #deps: ChunkRunDeps;
  readonly #run = randomBytes(6).toString('hex');
  readonly #abandoned = new AbortController();
  readonly #open = new Set<InferenceRun>();
  readonly result: Promise<FinishedChunk>;

  constructor(deps: ChunkRunDeps) {
    this.#deps = deps;
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
    const { batch, blobs, chunk } = this.#deps;
    const lines: Line[] = [];
    for await (const some of readInput(blobs, batch.definition, chunk))
      lines.push(...some.map(kept));
    this.#abandoned.signal.throwIfAborted();
    const answers = await Promise.all(lines.map((line) => this.#answer(line)));
    const good = answers.filter(({ failed }) => !failed);
    const bad = answers.filter(({ failed }) => failed);
    return {
      index: chunk.index,
      part: { output: await this.#write('output', good), errors: await this.#write('errors', bad) },
      completed: good.length,
      failed: bad.length,
      tokens: answers.reduce((sum, { tokens }) => sum + tokens, 0),
    };
  }

  async #answer(line: Line): Promise<Answer> {
    const { batch, chunk, resolve } = this.#deps;
    const { endpoint } = batch.definition;
    const parsed = parseRequestLine(line, { endpoint, resolve });
    if ('error' in parsed) return refused(errorLine(parsed.origin, parsed.error));
    if (chunk.duplicates.includes(line.number)) {
      const message = 'custom_id: an earlier line has it';
      const error = errorBody('invalid_request', message, 'custom_id');
      return refused(errorLine(parsed.origin, error));
    }
    return this.#infer(parsed);
  }

  async #infer({ origin, rows, parameters, metadata }: BatchRequest): Promise<Answer> {
    const { batch, model, variant, pipeline, rowTimeoutMs } = this.#deps;
    const run = pipeline.infer({
      ...{ rows, parameters, startTime: AFTER_INTERACTIVE, timeoutMs: rowTimeoutMs },
      onStart: () => {},
    });
    this.#open.add(run);
    try {
      const { output, task, usage } = await run.result;
      const { tokens, failed_rows } = usage;
      const error = requestError(output);
      if (error !== null) return { line: errorLine(origin, error), failed: true, tokens };
      const { endpoint } = batch.definition;
      const about = { endpoint, model, variant, task, metadata };
      const result = { ...about, output, usage: { rows: rows.length, tokens, failed_rows } };
      return { line: outputLine(origin, result), failed: false, tokens };
    } finally {
      this.#open.delete(run);
    }
  }

  async #write(kind: keyof ChunkPart, answers: Answer[]): Promise<string | null> {
    if (answers.length === 0) return null;
    const key = this.#key(kind);
    const { signal } = this.#abandoned;
    await this.#deps.blobs.put(key, linesOf(answers), { signal });
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

function refused(line: string): Answer {
  return { line, failed: true, tokens: 0 };
}

const LINES_A_WRITE = 256;

async function* linesOf(answers: Answer[]): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < answers.length; at += LINES_A_WRITE) {
    const some = answers.slice(at, at + LINES_A_WRITE);
    yield Buffer.from(some.map(({ line }) => line).join(''));
  }
}
