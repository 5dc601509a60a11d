import { AppError } from '@headrace/shared/errors.ts';
import type { RowOutput } from '@headrace/shared/jobs.ts';
import type { RowInput } from '@headrace/shared/queues.ts';
import type { BoundTask } from '@headrace/shared/tasks/index.ts';
import type { Overflow, TaskParameters } from '@headrace/shared/tasks/task.ts';
import { type ApartDeps, type ApartRequest, ApartRun, type TokenizeAll } from './apart-run.ts';
import type { Batcher } from './batcher.ts';
import type { TokenizedRow } from './encoding.ts';
import { InferenceRow } from './inference-row.ts';
import { type InferenceResult, summarize } from './result.ts';
import type { BatchLimits } from './row-shelf.ts';
import { isRowFault } from './tokenizer/row-fault.ts';

/** What a row takes of a run. */
export interface RowSize {
  /** That are run. */
  tokens: number;
  truncated: boolean;
}

export type Tokenize = (row: RowInput, overflow: Overflow) => Promise<TokenizedRow>;

interface PipelineDeps {
  tokenize: Tokenize;
  tokenizeAll: TokenizeAll;
  batcher: Batcher;
  task: BoundTask;
  /** How batches are cut that no other row may share. */
  limits: BatchLimits;
  /** Called with what became of the rows of each request. */
  onRows?: (rows: readonly RowOutput[]) => void;
}

export interface InferenceRequest {
  rows: RowInput[];
  /** As the task's `parse` returned them. */
  parameters: TaskParameters;
  startTime: number;
  /** Whose rows these are, in the order of work. */
  flow: string;
  timeoutMs: number;
  /** The span of the job, while tracing is on. */
  trace?: string | undefined;
  /** Called once, when the first of the rows is handed to an engine. */
  onStart: () => void;
}

/** The way of a job's rows through one model: tokenizer, batcher, engine, answer. */
export class Pipeline {
  readonly #deps: PipelineDeps;

  constructor(deps: PipelineDeps) {
    this.#deps = deps;
  }

  /** Whether more than one flow has asked for something lately. */
  get isShared(): boolean {
    return this.#deps.batcher.isShared;
  }

  infer(request: InferenceRequest): InferenceRun {
    return new InferenceRun(request, this.#deps);
  }

  /** Runs requests by themselves, see `ApartRun`. What others ask for goes first. */
  inferApart(
    requests: readonly ApartRequest[],
    { timeoutMs, onAnswer }: Pick<ApartDeps, 'timeoutMs' | 'onAnswer'>,
  ): ApartRun {
    return new ApartRun(requests, { ...this.#deps, timeoutMs, onAnswer });
  }

  /** What rows would cost; one that could not be run costs nothing. */
  async measure(rows: Parameters<TokenizeAll>[0]): Promise<RowSize[]> {
    const tokenized = await this.#deps.tokenizeAll(rows);
    return tokenized.map((row) => {
      if (row instanceof AppError) return { tokens: 0, truncated: row.code === 'text_too_long' };
      const tokens = row.encodings.reduce((sum, { ids }) => sum + ids.length, 0);
      return { tokens, truncated: row.truncated };
    });
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

  /** Spans of the tensor batches that its rows were in so far; none while tracing is off. */
  get batchTraces(): string[] {
    const traces = this.#rows.flatMap(({ batches }) => batches.map(({ trace }) => trace));
    return [...new Set(traces)].filter((trace) => trace !== undefined);
  }

  /** Drops the rows that have not run; results of the others are ignored. */
  abandon(reason: Error): void {
    this.#abandoned = true;
    for (const row of this.#rows) row.drop();
    this.#settled.reject(reason);
  }

  async #take(input: RowInput): Promise<void> {
    const { parameters, startTime, flow, timeoutMs, trace } = this.#request;
    const row = new InferenceRow({
      batcher: this.#deps.batcher,
      startTime,
      flow,
      timeoutMs,
      trace,
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
      const result = summarize(this.#rows, options);
      this.#deps.onRows?.(result.output);
      this.#settled.resolve(result);
    } catch (error) {
      this.#settled.reject(error);
    }
  }
}
