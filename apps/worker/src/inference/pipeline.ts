import { AppError, type ErrorCode } from '@headrace/shared/errors.ts';
import type { RowInput } from '@headrace/shared/queues.ts';
import type { BoundTask } from '@headrace/shared/tasks/index.ts';
import type { Overflow, TaskParameters } from '@headrace/shared/tasks/task.ts';
import type { Batcher, BatcherRow, RowSink } from './batcher.ts';
import type { TokenizedRow } from './encoding.ts';
import { InferenceRow } from './inference-row.ts';
import { PreparedBatches } from './prepared-batches.ts';
import { type InferenceResult, summarize } from './result.ts';
import type { BatchLimits } from './row-shelf.ts';

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
  /** How batches are cut that no other row may share. */
  limits: BatchLimits;
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
    return new InferenceRun(request, { ...this.#deps, sink: this.#deps.batcher });
  }

  /**
   * Runs requests by themselves: which rows share a tensor batch depends on these rows alone, so
   * the same requests give the same bits. What others ask for goes first.
   */
  inferApart(requests: InferenceRequest[]): InferenceRun[] {
    const { batcher, limits } = this.#deps;
    const sink = new PreparedBatches(batcher, limits);
    const runs = requests.map((request) => new InferenceRun(request, { ...this.#deps, sink }));
    void Promise.all(runs.map((run) => run.tokenized)).then(() => {
      sink.flush(runs.flatMap((run) => run.batcherRows));
    });
    return runs;
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

interface RunDeps extends PipelineDeps {
  sink: RowSink;
}

/** One job's rows in the pipeline. */
export class InferenceRun {
  readonly #request: InferenceRequest;
  readonly #deps: RunDeps;
  /** Resolves when each row is on its way to an engine, or has failed. */
  readonly tokenized: Promise<unknown>;
  readonly #rows: InferenceRow[] = [];
  readonly #settled = Promise.withResolvers<InferenceResult>();
  readonly #fetchedMs = performance.now();
  #open: number;
  #started = false;
  #abandoned = false;

  constructor(request: InferenceRequest, deps: RunDeps) {
    this.#request = request;
    this.#deps = deps;
    this.#open = request.rows.length;
    this.tokenized = Promise.all(request.rows.map((row) => this.#take(row)));
  }

  /** Rejects only with the error that the run was abandoned with, or with a defect of ours. */
  get result(): Promise<InferenceResult> {
    return this.#settled.promise;
  }

  /** What has been enqueued of its rows, in their order. */
  get batcherRows(): BatcherRow[] {
    return this.#rows.flatMap((row) => row.batcherRows);
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
      sink: this.#deps.sink,
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
