import type { TraceSpan } from '@headrace/shared/tracing/tracing.ts';
import type { Encoding } from './encoding.ts';
import type { BatchOutcome, EncodingOutcome, TensorBatch } from './engine/tensor-batch.ts';
import { type BatchLimits, RowShelf, type ShelvedRow } from './row-shelf.ts';
import { Sharing } from './sharing.ts';

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
  /** The span of the batch, while tracing is on. */
  trace?: string | undefined;
}

/** One encoding on its way through the batcher. */
export interface BatcherRow {
  readonly encoding: Encoding;
  /** Virtual start time of its job: the lower one goes first. */
  readonly startTime: number;
  /** Whose row it is: a tenant's jobs of one class. */
  readonly flow: string;
  /** A row that has no result so long after it was handed to an engine has failed. */
  readonly timeoutMs: number;
  /** The span of its job, while tracing is on. */
  readonly trace?: string | undefined;
  /** The row is in a tensor batch now. */
  onDispatch(): void;
  onOutcome(outcome: EncodingOutcome, batch: BatchFacts): void;
}

/** Encodings that run together and with no others, however they were chosen. */
export interface PreparedBatch {
  readonly encodings: Encoding[];
  /** Without a result so long after it was handed to an engine, it has failed. */
  readonly timeoutMs: number;
  /** False when nobody waits for it any more: it is not run then. */
  readonly isWanted: boolean;
  /** Called once, with an outcome for each encoding. */
  onOutcomes(outcomes: EncodingOutcome[]): void;
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
  /** Begins the span of a batch of rows, while tracing is on. */
  trace?: ((rows: readonly BatcherRow[]) => TraceSpan) | undefined;
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

/** While rows of the shelf and prepared batches wait, the latter get one turn of so many. */
const PREPARED_TURN = 16;

/**
 * Behind a run that takes longer, no prepared batch is put: an engine loses less than a millisecond
 * until it has its next one, and a row of the shelf would wait for both.
 */
const SHORT_RUN_MS = 20;

/** A small batch waits for company while it holds less than this share of the token budget. */
const SMALL_BATCH = 0.5;

/**
 * Forms tensor batches of one model, and runs those that were formed elsewhere when no other row
 * waits. An idle engine gets what is there at once; while all are busy,
 * a batch is prepared for each as soon as it is worth it. The row that is first in order is always
 * in the next batch.
 */
export class Batcher {
  readonly #options: BatcherOptions;
  readonly #now: () => number;
  readonly #shelf = new RowShelf<WaitingRow>();
  readonly #waiting = new Map<BatcherRow, WaitingRow>();
  /** Batches as they are to be run. */
  readonly #prepared: PreparedBatch[] = [];
  readonly #sharing = new Sharing();
  #sincePrepared = 0;
  /** Of the prepared batch that was answered last. */
  #preparedRunMs = 0;
  /** What is in an engine's hands, with the time from which on it is late. */
  readonly #running = new Map<BatcherRow, number>();
  readonly #runningPrepared = new Map<PreparedBatch, number>();
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

  /** Whether more than one flow has asked for something lately. */
  get isShared(): boolean {
    return this.#sharing.isShared(this.#now());
  }

  /** Rows that are added within one turn of the event loop are batched together. */
  add(row: BatcherRow): void {
    this.#sequence += 1;
    const now = this.#now();
    this.#sharing.see(row.flow, now);
    const waiting = new WaitingRow(row, this.#sequence, now);
    this.#waiting.set(row, waiting);
    this.#shelf.add(waiting);
    this.#schedule();
  }

  /**
   * A batch that is run as it is, when the rows of the shelf leave an engine free; what it comes to
   * does not depend on those. At most the token budget, unless it is one row.
   */
  addPrepared(batch: PreparedBatch): void {
    this.#prepared.push(batch);
    this.#schedule();
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
    while (runner.freeSlots > 0) {
      const prepared = this.#nextPrepared();
      if (prepared !== undefined) {
        this.#dispatchPrepared(prepared);
        continue;
      }
      if (this.#shelf.size === 0) return;
      if (runner.idleEngines === 0 && !this.#isWorthPreparing()) return;
      this.#sincePrepared += 1;
      this.#dispatch(this.#shelf.takeBatch(this.#limits()).map(({ row }) => row));
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
    for (const [batch, lateMs] of this.#runningPrepared) {
      if (lateMs > nowMs) continue;
      this.#runningPrepared.delete(batch);
      batch.onOutcomes(batch.encodings.map(() => ({ ok: false, code: 'row_timed_out' })));
    }
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#options.runner.onFree = null;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.tick();
    });
  }

  /** Undefined while rows of the shelf go first, or none should wait in an engine. */
  #nextPrepared(): PreparedBatch | undefined {
    const isTheirTurn = this.#shelf.size === 0 || this.#sincePrepared >= PREPARED_TURN;
    const mayWait = this.#preparedRunMs <= SHORT_RUN_MS;
    if (!isTheirTurn || !(mayWait || this.#options.runner.idleEngines > 0)) return undefined;
    for (;;) {
      const batch = this.#prepared.shift();
      if (batch === undefined) return undefined;
      if (!batch.isWanted) continue;
      this.#sincePrepared = 0;
      return batch;
    }
  }

  #limits(): BatchLimits {
    const tokenBudget = this.#sharing.budget(this.#tokenBudget, this.#now());
    return { tokenBudget, overheadCells: this.#options.overheadCells };
  }

  /** While every engine is busy, a small batch waits a moment for company. */
  #isWorthPreparing(): boolean {
    // Whoever comes meanwhile would wait for both runs.
    if (this.isShared) return false;
    if (this.#shelf.nextBatchTokens(this.#limits()) >= SMALL_BATCH * this.#tokenBudget) return true;
    const first = this.#shelf.first();
    const waitedMs = this.#now() - (first?.addedMs ?? 0);
    const leftMs = this.#options.maxQueueDelayMs - waitedMs;
    if (leftMs <= 0) return true;
    this.#timer = setTimeout(() => this.tick(), leftMs);
    return false;
  }

  #dispatch(rows: BatcherRow[]): void {
    const now = this.#now();
    const longest = rows.reduce((max, { encoding }) => Math.max(max, encoding.ids.length), 0);
    for (const row of rows) {
      this.#waiting.delete(row);
      this.#running.set(row, now + row.timeoutMs);
      row.onDispatch();
    }
    const span = this.#options.trace?.(rows);
    const tensorBatch = { encodings: rows.map(({ encoding }) => encoding), longest };
    const done = this.#options.runner.run(tensorBatch, this.#options.runTimeoutMs);
    // The engines were stopped: whoever stopped them has given these rows up.
    done.then(
      (outcome) => this.#settle(rows, { longest, span }, outcome),
      () => {
        span?.end({ error: 'stopped' });
        for (const row of rows) this.#running.delete(row);
      },
    );
  }

  #dispatchPrepared(batch: PreparedBatch): void {
    const { encodings, timeoutMs } = batch;
    const longest = encodings.reduce((max, { ids }) => Math.max(max, ids.length), 0);
    this.#runningPrepared.set(batch, this.#now() + timeoutMs);
    const done = this.#options.runner.run({ encodings, longest }, this.#options.runTimeoutMs);
    done.then(
      ({ outcomes, inferMs }) => {
        this.#preparedRunMs = inferMs;
        if (this.#runningPrepared.delete(batch)) batch.onOutcomes(outcomes);
        const tokens = encodings.reduce((sum, { ids }) => sum + ids.length, 0);
        const rows = encodings.length;
        this.#options.onBatch({ rows, tokens, cells: rows * longest, inferMs });
      },
      () => void this.#runningPrepared.delete(batch),
    );
  }

  #settle(rows: BatcherRow[], batch: Dispatched, { outcomes, inferMs }: BatchOutcome): void {
    const { longest, span } = batch;
    const facts = { rows: rows.length, longest, inferMs, trace: span?.traceparent };
    this.#sharing.learn(rows.length * longest, inferMs);
    let tokens = 0;
    for (const [i, row] of rows.entries()) {
      tokens += row.encoding.ids.length;
      const outcome = outcomes[i];
      if (!this.#running.delete(row) || outcome === undefined) continue;
      row.onOutcome(outcome, facts);
    }
    const report = { rows: rows.length, tokens, cells: rows.length * longest, inferMs };
    this.#options.onBatch(report);
    if (span === undefined) return;
    span.set(spanAttributes(report));
    span.end();
  }
}

/** A tensor batch that an engine has. */
interface Dispatched {
  /** Tokens of its longest row. */
  longest: number;
  span: TraceSpan | undefined;
}

function spanAttributes({ rows, tokens, cells, inferMs }: BatchReport) {
  return {
    'headrace.rows': rows,
    'headrace.tokens': tokens,
    'headrace.cells': cells,
    'headrace.infer_ms': inferMs,
  };
}
