import type { BatchReport } from './batcher.ts';

export interface Speed {
  /** Of one engine while it runs; null when nothing ran lately. */
  tokensPerSecond: number | null;
  rowsPerSecond: number | null;
  /** Share of padded cells; null when nothing ran lately. */
  paddingRatio: number | null;
}

const SLOT_MS = 10_000;
const SLOTS = 6;

interface Slot {
  startMs: number;
  rows: number;
  tokens: number;
  cells: number;
  inferMs: number;
}

/** What the engines of a model did in the last minute. */
export class SpeedMeter {
  readonly #now: () => number;
  #slots: Slot[] = [];

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  add(batch: BatchReport): void {
    const startMs = Math.floor(this.#now() / SLOT_MS) * SLOT_MS;
    let slot = this.#slots.at(-1);
    if (slot === undefined || slot.startMs !== startMs) {
      slot = { startMs, rows: 0, tokens: 0, cells: 0, inferMs: 0 };
      this.#slots = [...this.#slots.slice(1 - SLOTS), slot];
    }
    slot.rows += batch.rows;
    slot.tokens += batch.tokens;
    slot.cells += batch.cells;
    slot.inferMs += batch.inferMs;
  }

  read(): Speed {
    const since = this.#now() - SLOTS * SLOT_MS;
    const recent = this.#slots.filter(({ startMs }) => startMs >= since);
    const sum = (pick: (slot: Slot) => number) => recent.reduce((a, slot) => a + pick(slot), 0);
    const cells = sum((slot) => slot.cells);
    const seconds = sum((slot) => slot.inferMs) / 1000;
    const tokens = sum((slot) => slot.tokens);
    return {
      tokensPerSecond: seconds > 0 ? tokens / seconds : null,
      rowsPerSecond: seconds > 0 ? sum((slot) => slot.rows) / seconds : null,
      paddingRatio: cells > 0 ? (cells - tokens) / cells : null,
    };
  }
}
