import type { Logger } from '@headrace/shared/logger.ts';
import type { EngineStart } from './engine.ts';
import { EngineSeat, type RestartReason } from './engine-seat.ts';
import { packRows } from './packed-rows.ts';
import type { EngineSpec } from './protocol.ts';
import type { BatchOutcome, TensorBatch } from './tensor-batch.ts';
import { isSuspect, settle, type Ticket, type WorkPiece, wholeBatch } from './work-piece.ts';

export interface EnginePoolOptions {
  spec: EngineSpec;
  /** Engine processes, at least 1. */
  engines: number;
  /** Added to their priority, 0 to 19. */
  niceness: number;
  startTimeoutMs: number;
  log: Logger;
  /** Awaited before an engine is started anew, to check the files again; a throw is retried. */
  beforeRestart?: () => Promise<unknown>;
  /** An engine ended without being told to; another one is on its way. */
  onRestart?: (reason: RestartReason) => void;
  /** A run of so many padded cells had no memory; its rows are being tried in halves. */
  onOutOfMemory?: (cells: number) => void;
}

/** One running and one prepared, so that an engine need not wait for its next batch. */
const RUNS_PER_ENGINE = 2;

/**
 * The engines of one model. No batch loses a row here: what an engine took down with it is run
 * again, in halves if it is to blame, down to the row that does it.
 */
export class EnginePool {
  /** Called when the pool takes another batch: one was answered, or an engine came back. */
  onFree: (() => void) | null = null;
  readonly #options: EnginePoolOptions;
  readonly #seats: EngineSeat[];
  readonly #open = new Set<Ticket>();
  /** Pieces that no engine has, in order. Suspects among them come first. */
  #waiting: WorkPiece[] = [];
  #starting: Promise<EngineStart[]> | null = null;
  #stopping: Promise<void> | null = null;
  #closed = false;

  constructor(options: EnginePoolOptions) {
    this.#options = options;
    this.#seats = Array.from(
      { length: options.engines },
      () => new EngineSeat(options, () => this.#goOn()),
    );
  }

  get spec(): EngineSpec {
    return this.#options.spec;
  }

  get engines(): number {
    return this.#seats.length;
  }

  /** False when no engine is loaded; `run` still takes batches and keeps them. */
  get healthy(): boolean {
    return this.#seats.some((seat) => seat.alive);
  }

  /** Loaded, idle or not. */
  get readyEngines(): number {
    return this.#seats.filter((seat) => seat.alive).length;
  }

  /** Of the engine processes that exist, loaded or loading. */
  get pids(): number[] {
    return this.#seats.map((seat) => seat.pid).filter((pid) => pid !== null);
  }

  /** Loaded engines that have nothing to do. */
  get idleEngines(): number {
    return this.#seats.filter((seat) => seat.alive && !seat.reserved && seat.load === 0).length;
  }

  /** How many more batches would be sent to an engine now. `run` queues what is beyond that. */
  get freeSlots(): number {
    if (this.#closed || this.#waiting.some(isSuspect)) return 0;
    const places = this.#seats
      .filter((seat) => seat.alive && !seat.reserved)
      .reduce((sum, seat) => sum + RUNS_PER_ENGINE - seat.load, 0);
    return Math.max(0, places - this.#waiting.length);
  }

  /**
   * Starts all engines.
   * @throws Error with the model's name and the engine's reason; the pool is stopped then
   */
  start(): Promise<EngineStart[]> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<EngineStart[]> {
    if (this.#closed) throw stoppedError(this.spec);
    try {
      return await Promise.all(this.#seats.map((seat) => seat.start()));
    } catch (error) {
      await this.stop();
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${this.spec.model}: ${reason}`, { cause: error });
    }
  }

  /**
   * Runs a batch. The deadline is that of each run, from the moment when the engine has nothing
   * older to do; an engine that is late is killed. Idle engines come first.
   * @throws Error only after `stop()`
   */
  run(batch: TensorBatch, deadlineMs: number): Promise<BatchOutcome> {
    if (this.#closed) return Promise.reject(stoppedError(this.spec));
    const open = batch.encodings.length;
    if (open === 0) return Promise.resolve({ outcomes: [], inferMs: 0 });
    const { promise, resolve, reject } = Promise.withResolvers<BatchOutcome>();
    const outcomes = new Array(open).fill(undefined);
    const ticket = { batch, deadlineMs, outcomes, open, inferMs: 0, resolve, reject };
    this.#open.add(ticket);
    this.#waiting.push(wholeBatch(ticket));
    this.#dispatch();
    return promise;
  }

  /**
   * Ends every run at once and starts no engine anew, for a drain whose deadline has passed. What
   * ran stays without an answer until `stop()` rejects it.
   */
  killRunning(): void {
    this.#closed = true;
    for (const seat of this.#seats) void seat.close();
  }

  /** Kills all engines and rejects what has no answer. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.killRunning();
    this.#waiting = [];
    for (const ticket of this.#open) ticket.reject(stoppedError(this.spec));
    this.#open.clear();
    await Promise.all(this.#seats.map((seat) => seat.close()));
  }

  /** Sends what waits, then asks for more. */
  #goOn(): void {
    this.#dispatch();
    if (this.freeSlots > 0) this.onFree?.();
  }

  #dispatch(): void {
    while (!this.#closed) {
      const at = Math.max(0, this.#waiting.findIndex(isSuspect));
      const piece = this.#waiting[at];
      if (piece === undefined) return;
      // A suspect needs an engine for itself. Until one is idle, nothing else is sent.
      const seat = this.#leastLoaded(isSuspect(piece) ? 1 : RUNS_PER_ENGINE);
      if (seat === null) return;
      this.#waiting.splice(at, 1);
      void this.#send(piece, seat);
    }
  }

  #leastLoaded(limit: number): EngineSeat | null {
    let best: EngineSeat | null = null;
    for (const seat of this.#seats) {
      if (!seat.alive || seat.reserved || seat.load >= limit) continue;
      if (best === null || seat.load < best.load) best = seat;
    }
    return best;
  }

  async #send(piece: WorkPiece, seat: EngineSeat): Promise<void> {
    const { ticket, from, to } = piece;
    seat.reserved = isSuspect(piece);
    const sent = performance.now();
    const rows = packRows(ticket.batch.encodings, from, to);
    const report = await seat.run(rows, ticket.deadlineMs);
    seat.reserved = false;
    if (this.#closed) return;
    if (report.type === 'failed') {
      const { model } = this.spec;
      const { error, message } = report;
      this.#options.log.warn({ event: 'engine.run_failed', model, error, message }, 'run failed');
      if (error === 'out_of_memory') this.#options.onOutOfMemory?.(cellsOf(rows.lengths));
    }
    const limits = { width: this.spec.width, waitedMs: performance.now() - sent };
    this.#waiting.unshift(...settle(piece, report, limits));
    if (ticket.open === 0) this.#open.delete(ticket);
    this.#goOn();
  }
}

function cellsOf(lengths: Int32Array): number {
  return lengths.length * lengths.reduce((a, b) => Math.max(a, b), 0);
}

function stoppedError(spec: EngineSpec): Error {
  return new Error(`the engines of ${spec.model} were stopped`);
}
