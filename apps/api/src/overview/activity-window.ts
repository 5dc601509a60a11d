import { type Activity, type Percentiles, percentilesOf } from '@headrace/shared/activity.ts';
import type { WorkerReport } from '@headrace/shared/workers.ts';

/** What all workers together did for a model in the last seconds. */
export interface RecentActivity {
  rowsPerS: number;
  tokensPerS: number;
  jobsPerS: number;
  /** Share of cells without a token; null when nothing ran. */
  paddingRatio: number | null;
  /** Rows of a tensor batch, on average; null when nothing ran. */
  batchRows: number | null;
  waitMs: Percentiles | null;
  totalMs: Percentiles | null;
  engines: { total: number; ready: number; busy: number | null; restarts: number };
  /** Jobs that failed, by code. */
  errors: Map<string, number>;
}

interface Seen {
  /** By the worker's clock. */
  atMs: number;
  receivedMs: number;
  activity: Activity;
}

/** A worker that has been silent for longer does nothing, as far as anybody knows. */
const SILENT_MS = 4_000;

/**
 * The last reports of each worker and model. Rates are those between two reports, by the clock of
 * the worker that made them, so that neither late reports nor late looks make them jump.
 */
export class ActivityWindow {
  readonly #longestMs: number;
  #seen = new Map<string, Seen[]>();
  #models = new Map<string, string[]>();

  /** @param longestMs the longest time that will be asked for */
  constructor(longestMs: number) {
    this.#longestMs = longestMs;
  }

  /** Workers that are not among the reports are forgotten. */
  note(reports: readonly WorkerReport[], nowMs: number): void {
    const seen = new Map<string, Seen[]>();
    const models = new Map<string, string[]>();
    for (const { id, at_ms: atMs, models: served } of reports) {
      for (const { model, activity } of served) {
        if (activity === undefined) continue;
        const key = `${id} ${model}`;
        seen.set(key, this.#withNew(key, { atMs, receivedMs: nowMs, activity }));
        models.set(model, [...(models.get(model) ?? []), key]);
      }
    }
    this.#seen = seen;
    this.#models = models;
  }

  over(model: string, { windowMs, nowMs }: { windowMs: number; nowMs: number }): RecentActivity {
    const sum = new Sum();
    for (const key of this.#models.get(model) ?? []) {
      const list = this.#seen.get(key) ?? [];
      const last = list.at(-1);
      if (last === undefined) continue;
      sum.addState(last.activity);
      if (nowMs - last.receivedMs > SILENT_MS) continue;
      const first = list.findLast(({ atMs }) => atMs <= last.atMs - windowMs) ?? list[0];
      if (first !== undefined && first !== last) sum.addBetween(first, last);
    }
    return sum.read();
  }

  /** One report that is as old as the window or older is kept. */
  #withNew(key: string, next: Seen): Seen[] {
    const list = this.#seen.get(key) ?? [];
    const last = list.at(-1);
    if (last?.atMs === next.atMs) return list;
    // The clock of the worker was set back: nothing before can be compared with what comes.
    if (last !== undefined && next.atMs < last.atMs) return [next];
    const all = [...list, next];
    const base = all.findLastIndex(({ atMs }) => atMs <= next.atMs - this.#longestMs);
    return all.slice(Math.max(0, base));
  }
}

/** Of all workers. */
class Sum {
  #rowsPerS = 0;
  #tokensPerS = 0;
  #jobsPerS = 0;
  #tokens = 0;
  #cells = 0;
  #rows = 0;
  #batches = 0;
  #inferMs = 0;
  #engineMs = 0;
  #engines = 0;
  #ready = 0;
  #restarts = 0;
  readonly #wait = new Map<number, number>();
  readonly #total = new Map<number, number>();
  readonly #errors = new Map<string, number>();

  addState({ engines, engines_ready, engine_restarts }: Activity): void {
    this.#engines += engines;
    this.#ready += engines_ready;
    this.#restarts += engine_restarts;
  }

  addBetween(first: Seen, last: Seen): void {
    const [a, b] = [first.activity, last.activity];
    const elapsedMs = last.atMs - first.atMs;
    const seconds = elapsedMs / 1000;
    this.#rowsPerS += (b.rows - a.rows) / seconds;
    this.#tokensPerS += (b.tokens - a.tokens) / seconds;
    this.#jobsPerS += (b.jobs - a.jobs) / seconds;
    this.#rows += b.rows - a.rows;
    this.#tokens += b.tokens - a.tokens;
    this.#cells += b.cells - a.cells;
    this.#batches += b.batches - a.batches;
    this.#inferMs += b.infer_ms - a.infer_ms;
    this.#engineMs += elapsedMs * b.engines;
    addDifference(this.#wait, numbered(a.wait), numbered(b.wait));
    addDifference(this.#total, numbered(a.total), numbered(b.total));
    addDifference(this.#errors, Object.entries(a.errors), Object.entries(b.errors));
  }

  read(): RecentActivity {
    const isMeasured = this.#engineMs > 0;
    return {
      rowsPerS: this.#rowsPerS,
      tokensPerS: this.#tokensPerS,
      jobsPerS: this.#jobsPerS,
      paddingRatio: this.#cells > 0 ? 1 - this.#tokens / this.#cells : null,
      batchRows: this.#batches > 0 ? this.#rows / this.#batches : null,
      waitMs: percentilesOf(this.#wait),
      totalMs: percentilesOf(this.#total),
      engines: {
        total: this.#engines,
        ready: this.#ready,
        // A run counts when it ends, so a long one may seem to have taken more than all the time.
        busy: isMeasured ? Math.min(1, this.#inferMs / this.#engineMs) : null,
        restarts: this.#restarts,
      },
      errors: this.#errors,
    };
  }
}

function numbered(buckets: Record<string, number>): [number, number][] {
  return Object.entries(buckets).map(([bucket, count]) => [Number(bucket), count]);
}

function addDifference<K>(sums: Map<K, number>, before: [K, number][], after: [K, number][]): void {
  const known = new Map(before);
  for (const [key, count] of after) {
    const added = count - (known.get(key) ?? 0);
    if (added > 0) sums.set(key, (sums.get(key) ?? 0) + added);
  }
}
