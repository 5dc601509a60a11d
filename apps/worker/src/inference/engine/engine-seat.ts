import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '@headrace/shared/logger.ts';
import {
  Engine,
  type EngineExit,
  type EngineOptions,
  type EngineStart,
  type RunLost,
  type RunReport,
} from './engine.ts';
import type { PackedRows } from './protocol.ts';

/** Why an engine ended without being told to. */
export type RestartReason = RunLost['cause'];

export interface SeatOptions extends EngineOptions {
  log: Logger;
  /** Awaited before every start but the first, to check the files again; a throw is a failure. */
  beforeRestart?: () => Promise<unknown>;
  /** An engine ended by itself; another one is on its way. */
  onRestart?: (reason: RestartReason) => void;
}

const FIRST_BACK_OFF_MS = 100;
const LONGEST_BACK_OFF_MS = 5000;

/** One place of a pool: an engine, and another one whenever that has ended. */
export class EngineSeat {
  readonly #options: SeatOptions;
  readonly #onBack: () => void;
  readonly #closing = new AbortController();
  #engine: Engine;
  /** True while a suspect runs here; nothing may be prepared behind it. */
  reserved = false;

  /** @param onBack called each time an engine is loaded again after its predecessor ended */
  constructor(options: SeatOptions, onBack: () => void) {
    this.#options = options;
    this.#onBack = onBack;
    this.#engine = new Engine(options);
  }

  get pid(): number | null {
    return this.#engine.pid;
  }

  get alive(): boolean {
    return this.#engine.alive;
  }

  /** Runs that were sent and not answered. */
  get load(): number {
    return this.#engine.load;
  }

  /** @throws Error with the engine's reason when it cannot load */
  async start(): Promise<EngineStart> {
    const engine = this.#engine;
    const started = await engine.start();
    void engine.ended.then((exit) => this.#replace(exit));
    return started;
  }

  /** Never rejects, see `Engine.run`. */
  run(rows: PackedRows, deadlineMs: number): Promise<RunReport> {
    return this.#engine.run(rows, deadlineMs);
  }

  /** Kills the engine, at once, and starts no other. Resolves when it is gone. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#engine.kill();
    await this.#engine.ended;
  }

  async #replace(exit: EngineExit): Promise<void> {
    if (this.#closing.signal.aborted || exit.cause === 'stopped') return;
    const { log, spec, onRestart } = this.#options;
    log.warn({ event: 'engine.ended', model: spec.model, ...exit }, 'engine ended');
    onRestart?.(exit.cause);
    let backOffMs = FIRST_BACK_OFF_MS;
    while (!(await this.#tryStart())) {
      await wait(backOffMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      backOffMs = Math.min(backOffMs * 2, LONGEST_BACK_OFF_MS);
    }
  }

  /** @returns true when there is nothing left to try: it runs, or the seat was closed */
  async #tryStart(): Promise<boolean> {
    const { log, spec, beforeRestart } = this.#options;
    const { signal } = this.#closing;
    try {
      await beforeRestart?.();
      if (signal.aborted) return true;
      this.#engine = new Engine(this.#options);
      const started = await this.start();
      log.info({ event: 'engine.restarted', model: spec.model, ...started }, 'engine restarted');
      this.#onBack();
      return true;
    } catch (error) {
      if (signal.aborted) return true;
      log.error({ event: 'engine.start_failed', model: spec.model, err: error }, 'no engine');
      return false;
    }
  }
}
