import { type Activity, type Buckets, bucketOf } from '@headrace/shared/activity.ts';
import type { BatchReport } from './batcher.ts';

interface FinishedJob {
  /** Null when it succeeded. */
  code: string | null;
  /** Null when it had no run. */
  times: { waitMs: number; totalMs: number } | null;
}

/** Adds up what a worker does for one model: a few additions for each tensor batch and each job. */
export class ActivityMeter {
  #rows = 0;
  #tokens = 0;
  #cells = 0;
  #batches = 0;
  #inferMs = 0;
  #restarts = 0;
  #jobs = 0;
  readonly #errors = new Map<string, number>();
  readonly #wait = new Map<number, number>();
  readonly #total = new Map<number, number>();

  addBatch({ rows, tokens, cells, inferMs }: BatchReport): void {
    this.#rows += rows;
    this.#tokens += tokens;
    this.#cells += cells;
    this.#batches += 1;
    this.#inferMs += inferMs;
  }

  addJob({ code, times }: FinishedJob): void {
    this.#jobs += 1;
    if (code !== null) count(this.#errors, code);
    if (times === null) return;
    count(this.#wait, bucketOf(times.waitMs));
    count(this.#total, bucketOf(times.totalMs));
  }

  addRestart(): void {
    this.#restarts += 1;
  }

  read(engines: { all: number; ready: number }): Activity {
    return {
      rows: this.#rows,
      tokens: this.#tokens,
      cells: this.#cells,
      batches: this.#batches,
      infer_ms: Math.round(this.#inferMs * 10) / 10,
      engines: engines.all,
      engines_ready: engines.ready,
      engine_restarts: this.#restarts,
      jobs: this.#jobs,
      errors: Object.fromEntries(this.#errors),
      wait: bucketsOf(this.#wait),
      total: bucketsOf(this.#total),
    };
  }
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function bucketsOf(counts: Map<number, number>): Buckets {
  return Object.fromEntries(counts);
}
