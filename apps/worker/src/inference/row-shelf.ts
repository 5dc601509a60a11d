/** What the shelf sorts by. */
export interface ShelvedRow {
  /** Tokens of the row; the key of its place on the shelf. */
  readonly length: number;
  /** Virtual start time: the lower one goes first. */
  readonly startTime: number;
  /** Breaks ties of the start time: first come, first served. */
  readonly sequence: number;
}

export interface BatchLimits {
  /** Most padded cells of a batch; a single longer row is still a batch. */
  tokenBudget: number;
  /** What a run costs beside its cells, in cells. The higher, the more padding is worth a row. */
  overheadCells: number;
}

/** Rows this much longer than the first one in order may still share its batch. */
const STRETCH = 1.25;
const STRETCH_TOKENS = 4;

/** Rows that wait, kept by length, so that neighbours in length can run together. */
export class RowShelf<Row extends ShelvedRow> {
  readonly #byLength = new Map<number, Row[]>();
  /** Lengths that have rows, ascending. */
  readonly #lengths: number[] = [];
  #size = 0;
  #tokens = 0;

  get size(): number {
    return this.#size;
  }

  get tokens(): number {
    return this.#tokens;
  }

  add(row: Row): void {
    this.#size += 1;
    this.#tokens += row.length;
    const rows = this.#byLength.get(row.length);
    if (rows === undefined) {
      this.#byLength.set(row.length, [row]);
      this.#lengths.splice(
        lowerBound(this.#lengths, (length) => length < row.length),
        0,
        row.length,
      );
    } else if (isBefore(rows.at(-1), row)) {
      rows.push(row);
    } else {
      rows.splice(
        lowerBound(rows, (other) => isBefore(other, row)),
        0,
        row,
      );
    }
  }

  /** @returns false when the row is not on the shelf (any more) */
  remove(row: Row): boolean {
    const rows = this.#byLength.get(row.length);
    const at = rows?.indexOf(row) ?? -1;
    if (rows === undefined || at === -1) return false;
    rows.splice(at, 1);
    this.#forget(row.length, rows, [row]);
    return true;
  }

  /** The row that is first in order, or null. */
  first(): Row | null {
    let first: Row | null = null;
    for (const length of this.#lengths) {
      const head = this.#byLength.get(length)?.[0];
      if (head !== undefined && (first === null || isBefore(head, first))) first = head;
    }
    return first;
  }

  /** Real tokens of the batch that `takeBatch` would take. */
  nextBatchTokens(limits: BatchLimits): number {
    const first = this.first();
    return first === null ? 0 : this.#best(first, limits).tokens;
  }

  /**
   * Takes the first row in order with those neighbours in length that make the run most worth its
   * cost: real tokens / (rows × longest + overhead) is as high as it gets. Empty when none waits.
   */
  takeBatch(limits: BatchLimits): Row[] {
    const first = this.first();
    if (first === null) return [];
    const best = this.#best(first, limits);
    const batch: Row[] = [];
    for (const { length, count } of best.counts) {
      const rows = this.#byLength.get(length) ?? [];
      const taken = rows.splice(0, count);
      batch.push(...taken);
      this.#forget(length, rows, taken);
    }
    return batch;
  }

  #best(first: Row, limits: BatchLimits): Candidate {
    const longest = Math.max(first.length + STRETCH_TOKENS, Math.floor(first.length * STRETCH));
    let best: Candidate | null = null;
    let at = lowerBound(this.#lengths, (length) => length < first.length);
    for (; (this.#lengths[at] ?? Infinity) <= longest; at++) {
      const candidate = this.#fill(at, first.length, limits);
      if (best === null || candidate.worth > best.worth) best = candidate;
    }
    return best ?? { counts: [{ length: first.length, count: 1 }], tokens: first.length, worth: 0 };
  }

  /** The best batch whose longest rows have the length at `top` and which holds the first row. */
  #fill(top: number, firstLength: number, limits: BatchLimits): Candidate {
    const longest = this.#lengths[top] ?? firstLength;
    const capacity = Math.max(1, Math.floor(limits.tokenBudget / longest));
    const counts: Candidate['counts'] = [];
    // A place is kept for the first row until its own length is reached.
    let free = capacity - 1;
    let rows = 1;
    let tokens = firstLength;
    let worth = tokens / (longest + limits.overheadCells);
    for (let at = top; at >= 0; at--) {
      const length = this.#lengths[at] ?? 0;
      const own = length === firstLength ? 1 : 0;
      const count = Math.min(free, (this.#byLength.get(length)?.length ?? 0) - own);
      const more = (tokens + count * length) / ((rows + count) * longest + limits.overheadCells);
      const useful = length >= firstLength || more > worth;
      if (!useful) break;
      if (count + own > 0) counts.push({ length, count: count + own });
      free -= count;
      rows += count;
      tokens += count * length;
      worth = more;
      if (free === 0 && length <= firstLength) break;
    }
    if (!counts.some(({ length }) => length === firstLength)) {
      counts.push({ length: firstLength, count: 1 });
    }
    return { counts, tokens, worth };
  }

  #forget(length: number, rows: Row[], taken: Row[]): void {
    this.#size -= taken.length;
    this.#tokens -= taken.length * length;
    if (rows.length > 0) return;
    this.#byLength.delete(length);
    this.#lengths.splice(
      lowerBound(this.#lengths, (other) => other < length),
      1,
    );
  }
}

interface Candidate {
  counts: { length: number; count: number }[];
  tokens: number;
  /** Real tokens for each cell that the run costs. */
  worth: number;
}

function isBefore(a: ShelvedRow | undefined, b: ShelvedRow): boolean {
  if (a === undefined) return false;
  if (a.startTime !== b.startTime) return a.startTime < b.startTime;
  return a.sequence < b.sequence;
}

/** The first index whose element is not below; elements are sorted. */
function lowerBound<T>(sorted: readonly T[], isBelow: (element: T) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const element = sorted[middle];
    if (element !== undefined && isBelow(element)) low = middle + 1;
    else high = middle;
  }
  return low;
}
