import { AppError } from '@headrace/shared/errors.ts';
import type { Batcher, BatcherRow, BatchFacts } from './batcher.ts';
import type { TokenizedRow } from './encoding.ts';
import type { EncodingOutcome } from './engine/tensor-batch.ts';

interface RowOptions {
  batcher: Pick<Batcher, 'add' | 'drop'>;
  startTime: number;
  flow: string;
  timeoutMs: number;
  /** The span of its job, while tracing is on. */
  trace: string | undefined;
  onDispatch: () => void;
  onSettled: () => void;
}

/** One encoding's numbers, `[width]`, and the tensor batch they came from. */
interface Part {
  outcome: EncodingOutcome;
  batch: BatchFacts;
}

/** One row of a job: its encodings (several when it was chunked) and what became of them. */
export class InferenceRow {
  readonly #options: RowOptions;
  readonly #parts: Part[] = [];
  #queued: BatcherRow[] = [];
  #received = 0;
  #tokenized: TokenizedRow | null = null;
  #error: AppError | null = null;
  /** Milliseconds of `performance.now()`: when tokenized, and when the first batch began to run. */
  tokenizedMs = 0;
  inferStartMs = Number.POSITIVE_INFINITY;

  constructor(options: RowOptions) {
    this.#options = options;
  }

  /** Tokens before truncation; 0 if the row could not be tokenized. */
  get tokens(): number {
    return this.#tokenized?.tokens ?? 0;
  }

  get truncated(): boolean {
    return this.#tokenized?.truncated ?? false;
  }

  /** Tokens that were run. */
  get inferredTokens(): number {
    const encodings = this.#tokenized?.encodings ?? [];
    return encodings.reduce((sum, { ids }) => sum + ids.length, 0);
  }

  get error(): AppError | null {
    return this.#error;
  }

  get batches(): BatchFacts[] {
    return this.#parts.map(({ batch }) => batch);
  }

  /** The numbers of each encoding, `[width]`; call it only when there is no error. */
  get values(): Float32Array[] {
    return this.#parts.flatMap(({ outcome }) => (outcome.ok ? [outcome.values] : []));
  }

  enqueue(tokenized: TokenizedRow): void {
    this.tokenizedMs = performance.now();
    this.#tokenized = tokenized;
    const { startTime, flow, timeoutMs, trace, onDispatch, batcher } = this.#options;
    this.#queued = tokenized.encodings.map((encoding, part) => ({
      encoding,
      startTime,
      flow,
      timeoutMs,
      trace,
      onDispatch,
      onOutcome: (outcome, batch) => this.#receive(part, { outcome, batch }),
    }));
    for (const row of this.#queued) batcher.add(row);
  }

  fail(error: AppError): void {
    this.#error = error;
    this.tokenizedMs ||= performance.now();
    this.drop();
    this.#options.onSettled();
  }

  drop(): void {
    for (const row of this.#queued) this.#options.batcher.drop(row);
    this.#queued = [];
  }

  #receive(part: number, received: Part): void {
    const { outcome, batch } = received;
    this.inferStartMs = Math.min(this.inferStartMs, performance.now() - batch.inferMs);
    this.#parts[part] = received;
    this.#received += 1;
    if (!outcome.ok) this.fail(new AppError(outcome.code));
    else if (this.#received === this.#queued.length) this.#options.onSettled();
  }
}
