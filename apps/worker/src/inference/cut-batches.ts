import type { BatchLimits } from './row-shelf.ts';

interface Sized {
  readonly encoding: { readonly ids: { readonly length: number } };
}

/**
 * Rows from the longest to the shortest, a new batch where the budget is full or where one more row
 * would make the run worth less: real tokens / (rows × longest + overhead), as on the shelf. The cut
 * depends on the rows' lengths and their order and on nothing else.
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
