import type { Encoding } from './encoding.ts';
import type { BatchOutcome, EncodingOutcome, TensorBatch } from './engine/tensor-batch.ts';
import { type BatchLimits, RowShelf, type ShelvedRow } from './row-shelf.ts';

/** What the batcher needs of the engines of one model. */
export interface BatchRunner {
  /** Batches that are taken at once, without waiting behind more than one running batch. */
  readonly freeSlots: number;
  /** Engines with nothing to do. */
  readonly idleEngines: number;
  /** Called when a slot gets free. */
  onFree: (() => void) | null;
  /** Rejects only when the engines are stopped. */
  run(batch: TensorBatch, deadlineMs: number): Promise<BatchOutcome>;
}

/** The tensor batch that a row was in. */
export interface BatchFacts {
  rows: number;
  /** Tokens of its longest row. */
  longest: number;
  inferMs: number;
}

/** One encoding on its way through the batcher. */
export interface BatcherRow {
  readonly encoding: Encoding;
  /** Virtual start time of its job: the lower one goes first. */
  readonly startTime: number;
  /** A row that has no result so long after it was handed to an engine has failed. */
  readonly timeoutMs: number;
  /** The row is in a tensor batch now. */
  onDispatch(): void;
  onOutcome(outcome: EncodingOutcome, batch: BatchFacts): void;
}

export interface BatchReport {
  rows: number;
  /** Cells that hold a token. */
  tokens: number;
  /** All cells, `rows × longest`. */
  cells: number;
  inferMs: number;
}

interface BatcherOptions extends BatchLimits {
  runner: BatchRunner;
  /** Longest wait of a small batch for company while all engines are busy. */
  maxQueueDelayMs: number;
  /** A run that takes longer is killed. */
  runTimeoutMs: number;
  onBatch: (report: BatchReport) => void;
  /** Milliseconds of a monotonic clock. */
  now?: () => number;
}

class WaitingRow implements ShelvedRow {
  readonly row: BatcherRow;
  readonly sequence: number;
  readonly length: number;
  readonly startTime: number;
  readonly addedMs: number;

  constructor(row: BatcherRow, sequence: number, addedMs: number) {
    this.row = row;
    this.sequence = sequence;
    this.addedMs = addedMs;
    this.length = row.encoding.ids.length;
    this.startTime = row.startTime;
  }
}

/** A small batch waits for company while it holds less than this share of the token budget. */
const SMALL_BATCH = 0.5;

/**
 * Forms tensor batches of one model. An idle engine gets what is there at once; while all are busy,
 * a batch is prepared for each as soon as it is worth it. The row that is first in order is always
 * in the next batch.
 */
export class Batcher {
  readonly #options: BatcherOptions;
  readonly #now: () => number;
  readonly #shelf = new RowShelf<WaitingRow>();
  readonly #waiting = new Map<BatcherRow, WaitingRow>();
  /** Rows in an engine's hands, with the time from which on they are late. */
  readonly #running = new Map<BatcherRow, number>();
  #tokenBudget: number;
  #sequence = 0;
  #scheduled = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#tokenBudget = options.tokenBudget;
    options.runner.onFree = () => this.tick();
  }

  get waitingRows(): number {
    return this.#shelf.size;
  }

  get waitingTokens(): number {
    return this.#shelf.tokens;
  }

  get tokenBudget(): number {
    return this.#tokenBudget;
  }

  /** Rows that are added within one turn of the event loop are batched together. */
  add(row: BatcherRow): void {
    this.#sequence += 1;
    const waiting = new WaitingRow(row, this.#sequence, this.#now());
    this.#waiting.set(row, waiting);
    this.#shelf.add(waiting);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.tick();
    });
  }

  /** Takes a row out again, before it costs a run; one that runs already gets no outcome. */
  drop(row: BatcherRow): void {
    this.#running.delete(row);
    const waiting = this.#waiting.get(row);
    if (waiting === undefined) return;
    this.#waiting.delete(row);
    this.#shelf.remove(waiting);
  }

  /** A run of so many cells did not fit into the device's memory: batches get smaller for good. */
  lowerBudget(cells: number): void {
    this.#tokenBudget = Math.max(1, Math.min(this.#tokenBudget, Math.floor(cells / 2)));
  }

  /** Hands batches to the engines as long as they take some. */
  tick(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const { runner } = this.#options;
    while (this.#shelf.size > 0 && runner.freeSlots > 0) {
      if (runner.idleEngines === 0 && !this.#isWorthPreparing()) return;
      this.#dispatch(this.#shelf.takeBatch(this.#limits()));
    }
  }

  /** Fails the rows whose time is up; their result, should it still come, is ignored. */
  failLate(nowMs: number): void {
    for (const [row, lateMs] of this.#running) {
      if (lateMs > nowMs) continue;
      this.#running.delete(row);
      const facts = { rows: 1, longest: row.encoding.ids.length, inferMs: row.timeoutMs };
      row.onOutcome({ ok: false, code: 'row_timed_out' }, facts);
    }
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#options.runner.onFree = null;
  }

  #limits(): BatchLimits {
    return { tokenBudget: this.#tokenBudget, overheadCells: this.#options.overheadCells };
  }

  /** While every engine is busy, a small batch waits a moment for company. */
  #isWorthPreparing(): boolean {
    if (this.#shelf.nextBatchTokens(this.#limits()) >= SMALL_BATCH * this.#tokenBudget) return true;
    const first = this.#shelf.first();
    const waitedMs = this.#now() - (first?.addedMs ?? 0);
    const leftMs = this.#options.maxQueueDelayMs - waitedMs;
    if (leftMs <= 0) return true;
    this.#timer = setTimeout(() => this.tick(), leftMs);
    return false;
  }

  #dispatch(batch: WaitingRow[]): void {
    const now = this.#now();
    const longest = batch.reduce((max, { length }) => Math.max(max, length), 0);
    const rows = batch.map(({ row }) => row);
    for (const row of rows) {
      this.#waiting.delete(row);
      this.#running.set(row, now + row.timeoutMs);
      row.onDispatch();
    }
    const tensorBatch = { encodings: rows.map(({ encoding }) => encoding), longest };
    const done = this.#options.runner.run(tensorBatch, this.#options.runTimeoutMs);
    // The engines were stopped: whoever stopped them has given these rows up.
    done.then(
      (outcome) => this.#settle(rows, longest, outcome),
      () => rows.forEach((row) => void this.#running.delete(row)),
    );
  }

  #settle(rows: BatcherRow[], longest: number, { outcomes, inferMs }: BatchOutcome): void {
    const facts = { rows: rows.length, longest, inferMs };
    let tokens = 0;
    for (const [i, row] of rows.entries()) {
      tokens += row.encoding.ids.length;
      const outcome = outcomes[i];
      if (!this.#running.delete(row) || outcome === undefined) continue;
      row.onOutcome(outcome, facts);
    }
    this.#options.onBatch({ rows: rows.length, tokens, cells: rows.length * longest, inferMs });
  }
}
