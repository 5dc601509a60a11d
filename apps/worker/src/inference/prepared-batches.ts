import type { Batcher, BatcherRow, RowSink } from './batcher.ts';
import type { BatchLimits } from './row-shelf.ts';

/**
 * Gathers rows that are to be run apart from all others, and cuts them into tensor batches once all
 * of them are there. The cut depends on the rows' lengths and their order and on nothing else.
 */
export class PreparedBatches implements RowSink {
  readonly #batcher: Pick<Batcher, 'addPrepared' | 'drop'>;
  readonly #limits: BatchLimits;
  /** In the order in which they were tokenized, which is chance. */
  #rows: Set<BatcherRow> | null = new Set();

  constructor(batcher: Pick<Batcher, 'addPrepared' | 'drop'>, limits: BatchLimits) {
    this.#batcher = batcher;
    this.#limits = limits;
  }

  add(row: BatcherRow): void {
    if (this.#rows === null) throw new Error('the batches are cut already');
    this.#rows.add(row);
  }

  drop(row: BatcherRow): void {
    if (this.#rows === null) this.#batcher.drop(row);
    else this.#rows.delete(row);
  }

  /**
   * Hands the batches over; call it when every row has come.
   * @param order all rows as they were asked for; some may have been dropped meanwhile
   */
  flush(order: BatcherRow[]): void {
    const rows = order.filter((row) => this.#rows?.has(row));
    this.#rows = null;
    for (const batch of cutBatches(rows, this.#limits)) this.#batcher.addPrepared(batch);
  }
}

interface Sized {
  readonly encoding: { readonly ids: { readonly length: number } };
}

/**
 * Rows from the longest to the shortest, a new batch where the budget is full or where one more row
 * would make the run worth less: real tokens / (rows × longest + overhead), as on the shelf.
 */
export function cutBatches<Row extends Sized>(rows: readonly Row[], limits: BatchLimits): Row[][] {
  const sorted = [...rows].sort((a, b) => lengthOf(b) - lengthOf(a));
  const batches: Row[][] = [];
  let batch: Row[] = [];
  let tokens = 0;
  for (const row of sorted) {
    const longest = lengthOf(batch[0] ?? row);
    const cells = batch.length * longest;
    const more = (tokens + lengthOf(row)) / (cells + longest + limits.overheadCells);
    const fits = cells + longest <= limits.tokenBudget;
    if (batch.length > 0 && (!fits || more < tokens / (cells + limits.overheadCells))) {
      batches.push(batch);
      batch = [];
      tokens = 0;
    }
    batch.push(row);
    tokens += lengthOf(row);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

function lengthOf({ encoding }: Sized): number {
  return encoding.ids.length;
}
