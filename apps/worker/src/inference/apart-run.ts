import { AppError } from '@headrace/shared/errors.ts';
import type { RowOutput } from '@headrace/shared/jobs.ts';
import type { RowInput } from '@headrace/shared/queues.ts';
import type { BoundTask } from '@headrace/shared/tasks/index.ts';
import type { Overflow, TaskParameters } from '@headrace/shared/tasks/task.ts';
import type { Batcher, PreparedBatch } from './batcher.ts';
import { cutBatches } from './cut-batches.ts';
import type { Encoding, TokenizedRow } from './encoding.ts';
import type { EncodingOutcome } from './engine/tensor-batch.ts';
import { rowOutput } from './result.ts';
import type { BatchLimits } from './row-shelf.ts';

export interface ApartRequest {
  rows: RowInput[];
  /** As the task's `parse` returned them. */
  parameters: TaskParameters;
}

/** What a request came to. */
export interface ApartResult {
  task: string;
  /** One per row, in order. */
  output: RowOutput[];
  usage: { rows: number; tokens: number; failed_rows: number };
}

/** The ids of many rows, or what is wrong with a row; rejects with what is no row's fault. */
export type TokenizeAll = (
  rows: { input: RowInput; overflow: Overflow }[],
) => Promise<(TokenizedRow | AppError)[]>;

export interface ApartDeps {
  tokenizeAll: TokenizeAll;
  batcher: Pick<Batcher, 'addPrepared'>;
  task: BoundTask;
  limits: BatchLimits;
  /** Of a run of one tensor batch, from the moment when an engine has it. */
  timeoutMs: number;
  /** Called with what became of the rows of each request. */
  onRows?: (rows: readonly RowOutput[]) => void;
  /** Called with the place of a request in the list, once it is answered. */
  onAnswer: (index: number, result: ApartResult) => void;
}

/**
 * Requests that run by themselves: which rows share a tensor batch depends on these rows alone, so
 * the same requests give the same bits. Thousands of rows at a time, so nothing here costs a promise
 * or a closure for each of them.
 */
export class ApartRun {
  readonly #deps: ApartDeps;
  readonly #requests: OpenRequest[];
  readonly #settled = Promise.withResolvers<void>();
  #openRequests: number;
  #abandoned = false;

  constructor(requests: readonly ApartRequest[], deps: ApartDeps) {
    this.#deps = deps;
    this.#requests = requests.map((request, index) => new OpenRequest(request, index));
    this.#openRequests = requests.length;
    if (requests.length === 0) this.#settled.resolve();
    else void this.#start();
  }

  /**
   * Resolves when all are answered. Rejects with the error that the run was abandoned with, or with
   * a defect of ours.
   */
  get done(): Promise<void> {
    return this.#settled.promise;
  }

  /** Drops the rows that have not run; results of the others are ignored. */
  abandon(reason: unknown): void {
    this.#abandoned = true;
    this.#settled.reject(reason);
  }

  async #start(): Promise<void> {
    try {
      const rows = this.#requests.flatMap(({ rows }) => rows);
      const tokenized = await this.#deps.tokenizeAll(rows);
      if (this.#abandoned) return;
      for (const [i, row] of rows.entries()) {
        row.tokenized = tokenized[i] ?? null;
        row.request.open += row.encodings.length;
      }
      // Those whose rows could not be tokenized have nothing to run.
      for (const request of this.#requests) if (request.open === 0) this.#answer(request);
      const pieces = rows.flatMap((row) => row.pieces);
      for (const batch of cutBatches(pieces, this.#deps.limits)) this.#hand(batch);
    } catch (error) {
      this.abandon(error);
    }
  }

  #hand(pieces: Piece[]): void {
    const isAbandoned = () => this.#abandoned;
    this.#deps.batcher.addPrepared({
      encodings: pieces.map(({ encoding }) => encoding),
      timeoutMs: this.#deps.timeoutMs,
      get isWanted() {
        return !isAbandoned();
      },
      onOutcomes: (outcomes) => this.#receive(pieces, outcomes),
    } satisfies PreparedBatch);
  }

  #receive(pieces: Piece[], outcomes: readonly EncodingOutcome[]): void {
    if (this.#abandoned) return;
    try {
      for (const [i, { row, part }] of pieces.entries()) {
        const outcome = outcomes[i];
        if (outcome === undefined) continue;
        row.outcomes[part] = outcome;
        row.request.open -= 1;
        if (row.request.open === 0) this.#answer(row.request);
      }
    } catch (error) {
      this.abandon(error);
    }
  }

  #answer({ request, index, rows }: OpenRequest): void {
    const { task, onRows, onAnswer } = this.#deps;
    const { parameters } = request;
    const output = rows.map((row) => rowOutput(row, { task, parameters }));
    const usage = {
      rows: rows.length,
      tokens: rows.reduce((sum, row) => sum + row.inferredTokens, 0),
      failed_rows: rows.reduce((sum, { error }) => sum + (error === null ? 0 : 1), 0),
    };
    onRows?.(output);
    onAnswer(index, { task: task.name, output, usage });
    this.#openRequests -= 1;
    if (this.#openRequests === 0) this.#settled.resolve();
  }
}

class OpenRequest {
  readonly request: ApartRequest;
  readonly index: number;
  readonly rows: ApartRow[];
  /** Encodings without an outcome. */
  open = 0;

  constructor(request: ApartRequest, index: number) {
    this.request = request;
    this.index = index;
    const { overflow } = request.parameters;
    this.rows = request.rows.map((input) => new ApartRow(this, input, overflow));
  }
}

const NONE: readonly Encoding[] = [];

class ApartRow {
  readonly request: OpenRequest;
  readonly input: RowInput;
  readonly overflow: Overflow;
  /** Null before it is tokenized. */
  tokenized: TokenizedRow | AppError | null = null;
  /** One for each encoding. */
  readonly outcomes: EncodingOutcome[] = [];

  constructor(request: OpenRequest, input: RowInput, overflow: Overflow) {
    this.request = request;
    this.input = input;
    this.overflow = overflow;
  }

  get encodings(): readonly Encoding[] {
    return this.#row?.encodings ?? NONE;
  }

  get pieces(): Piece[] {
    return this.encodings.map((encoding, part) => ({ row: this, part, encoding }));
  }

  get tokens(): number {
    return this.#row?.tokens ?? 0;
  }

  get truncated(): boolean {
    return this.#row?.truncated ?? false;
  }

  /** Tokens that were run. */
  get inferredTokens(): number {
    return this.encodings.reduce((sum, { ids }) => sum + ids.length, 0);
  }

  /** Of the first encoding that has one, whichever came back first. */
  get error(): AppError | null {
    if (this.tokenized instanceof AppError) return this.tokenized;
    for (const outcome of this.outcomes) if (!outcome.ok) return new AppError(outcome.code);
    return null;
  }

  get values(): Float32Array[] {
    return this.outcomes.flatMap((outcome) => (outcome.ok ? [outcome.values] : []));
  }

  get #row(): TokenizedRow | null {
    return this.tokenized instanceof AppError ? null : this.tokenized;
  }
}

/** One encoding of a row. */
interface Piece {
  row: ApartRow;
  /** Its place among the encodings of the row. */
  part: number;
  encoding: Encoding;
}
