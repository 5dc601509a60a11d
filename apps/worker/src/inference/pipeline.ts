import { AppError, type ErrorCode } from '@headrace/shared/errors.ts';
import type { RowInput } from '@headrace/shared/queues.ts';
import type { BoundTask } from '@headrace/shared/tasks/index.ts';
import type { Overflow, TaskParameters } from '@headrace/shared/tasks/task.ts';
import type { Batcher } from './batcher.ts';
import type { TokenizedRow } from './encoding.ts';
import { InferenceRow } from './inference-row.ts';
import { type InferenceResult, summarize } from './result.ts';

/** What a row can do wrong at tokenization; anything else is ours, and the job is tried again. */
const ROW_FAULTS = new Set<ErrorCode>(['text_too_long', 'tokenizer_failed']);

function isRowFault(error: unknown): error is AppError {
  return error instanceof AppError && ROW_FAULTS.has(error.code);
}

/** What a row takes of a run. */
export interface RowSize {
  /** That are run. */
  tokens: number;
  truncated: boolean;
}

export type Tokenize = (row: RowInput, overflow: Overflow) => Promise<TokenizedRow>;

interface PipelineDeps {
  tokenize: Tokenize;
  batcher: Batcher;
  task: BoundTask;
}

export interface InferenceRequest {
  rows: RowInput[];
  /** As the task's `parse` returned them. */
  parameters: TaskParameters;
  startTime: number;
  timeoutMs: number;
  /** Called once, when the first of the rows is handed to an engine. */
  onStart: () => void;
}

/** The way of a job's rows through one model: tokenizer, batcher, engine, answer. */
export class Pipeline {
  readonly #deps: PipelineDeps;

  constructor(deps: PipelineDeps) {
    this.#deps = deps;
  }

  infer(request: InferenceRequest): InferenceRun {
    return new InferenceRun(request, this.#deps);
  }

  /** What a row would cost; a row that could not be run costs nothing. */
  async measure(row: RowInput, overflow: Overflow): Promise<RowSize> {
    try {
      const { encodings, truncated } = await this.#deps.tokenize(row, overflow);
      return { tokens: encodings.reduce((sum, { ids }) => sum + ids.length, 0), truncated };
    } catch (error) {
      if (!isRowFault(error)) throw error;
      return { tokens: 0, truncated: error.code === 'text_too_long' };
    }
  }
}

/** One job's rows in the pipeline. */
export class InferenceRun {
  readonly #request: InferenceRequest;
  readonly #deps: PipelineDeps;
  readonly #rows: InferenceRow[] = [];
  readonly #settled = Promise.withResolvers<InferenceResult>();
  readonly #fetchedMs = performance.now();
  #open: number;
  #started = false;
  #abandoned = false;

  constructor(request: InferenceRequest, deps: PipelineDeps) {
    this.#request = request;
    this.#deps = deps;
    this.#open = request.rows.length;
    for (const row of request.rows) void this.#take(row);
  }

  /** Rejects only with the error that the run was abandoned with, or with a defect of ours. */
  get result(): Promise<InferenceResult> {
    return this.#settled.promise;
  }

  /** Whether a row was handed to an engine. */
  get started(): boolean {
    return this.#started;
  }

  /** Drops the rows that have not run; results of the others are ignored. */
  abandon(reason: Error): void {
    this.#abandoned = true;
    for (const row of this.#rows) row.drop();
    this.#settled.reject(reason);
  }

  async #take(input: RowInput): Promise<void> {
    const { parameters, startTime, timeoutMs } = this.#request;
    const row = new InferenceRow({
      batcher: this.#deps.batcher,
      startTime,
      timeoutMs,
      onDispatch: () => this.#start(),
      onSettled: () => this.#countDown(),
    });
    this.#rows.push(row);
    try {
      const tokenized = await this.#deps.tokenize(input, parameters.overflow);
      if (!this.#abandoned) row.enqueue(tokenized);
    } catch (error) {
      if (isRowFault(error)) row.fail(error);
      else this.abandon(new Error('a row could not be tokenized', { cause: error }));
    }
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#request.onStart();
  }

  #countDown(): void {
    this.#open -= 1;
    if (this.#open > 0 || this.#abandoned) return;
    try {
      const { task } = this.#deps;
      const { parameters } = this.#request;
      const options = { task, parameters, fetchedMs: this.#fetchedMs };
      this.#settled.resolve(summarize(this.#rows, options));
    } catch (error) {
      this.#settled.reject(error);
    }
  }
}
