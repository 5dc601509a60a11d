import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RowShelf, type ShelvedRow } from '../../apps/worker/src/inference/row-shelf.ts';

const LIMITS = { tokenBudget: 512, overheadCells: 16 };

let sequence = 0;
function row(length: number, startTime = 0): ShelvedRow {
  sequence += 1;
  return { length, startTime, sequence };
}

function shelfOf(rows: ShelvedRow[]): RowShelf<ShelvedRow> {
  const shelf = new RowShelf<ShelvedRow>();
  for (const each of rows) shelf.add(each);
  return shelf;
}

/** Seeded numbers in [0, 1), after Tommy Ettinger's mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe('row shelf', () => {
  test('has no batch when it is empty', () => {
    assert.deepEqual(new RowShelf().takeBatch(LIMITS), []);
  });

  test('always takes the first row in order, whatever suits the others', () => {
    const first = row(200, 0);
    const shelf = shelfOf([...Array.from({ length: 50 }, () => row(10, 5)), first]);
    assert.deepEqual(shelf.takeBatch(LIMITS), [first]);
  });

  test('takes the lower start time first, then first come first served', () => {
    const late = row(30, 9);
    const early = row(30, 1);
    const alsoEarly = row(30, 1);
    const shelf = shelfOf([late, early, alsoEarly]);
    const batch = shelf.takeBatch({ tokenBudget: 60, overheadCells: 16 });
    assert.deepEqual(batch, [early, alsoEarly]);
    assert.equal(shelf.first(), late);
  });

  test('leaves a much shorter row for another batch', () => {
    const long = row(100, 0);
    const short = row(12, 1);
    assert.deepEqual(shelfOf([short, long]).takeBatch(LIMITS), [long]);
  });

  test('packs short rows onto a device whose runs are dear', () => {
    const rows = [row(100, 0), row(12, 1)];
    const limits = { tokenBudget: 16_384, overheadCells: 2_048 };
    assert.equal(shelfOf(rows).takeBatch(limits).length, 2);
  });

  test('takes a row that is longer than the whole budget by itself', () => {
    const long = row(800);
    assert.deepEqual(shelfOf([long, row(801)]).takeBatch(LIMITS), [long]);
  });

  test('removes a row before it costs a run', () => {
    const gone = row(20);
    const kept = row(20);
    const shelf = shelfOf([gone, kept]);
    assert.equal(shelf.remove(gone), true);
    assert.equal(shelf.remove(gone), false);
    assert.deepEqual(shelf.takeBatch(LIMITS), [kept]);
  });

  test('over random rows: each is taken once, within the budget, first in order always there', () => {
    const next = random(11);
    const rows = Array.from({ length: 2_000 }, () =>
      row(8 + Math.floor(248 * next() ** 3), Math.floor(next() * 5)),
    );
    const shelf = shelfOf(rows);
    const taken = new Set<ShelvedRow>();
    let cells = 0;
    let tokens = 0;
    while (shelf.size > 0) {
      const first = shelf.first();
      const batch = shelf.takeBatch(LIMITS);
      const longest = Math.max(...batch.map(({ length }) => length));
      assert.ok(first !== null && batch.includes(first));
      assert.ok(batch.length === 1 || batch.length * longest <= LIMITS.tokenBudget);
      for (const each of batch) taken.add(each);
      cells += batch.length * longest;
      tokens += batch.reduce((sum, { length }) => sum + length, 0);
    }
    assert.equal(taken.size, rows.length);
    assert.equal(shelf.tokens, 0);
    assert.ok(1 - tokens / cells < 0.03, `padding ${1 - tokens / cells}`);
  });

  test('with 250 rows at hand pads at most one cell in twenty', () => {
    const next = random(5);
    const draw = () => row(8 + Math.floor(248 * next() ** 3), sequence);
    const shelf = shelfOf(Array.from({ length: 250 }, draw));
    let cells = 0;
    let tokens = 0;
    for (let i = 0; i < 400; i++) {
      const batch = shelf.takeBatch(LIMITS);
      const longest = Math.max(...batch.map(({ length }) => length));
      cells += batch.length * longest;
      tokens += batch.reduce((sum, { length }) => sum + length, 0);
      for (let each = 0; each < batch.length; each++) shelf.add(draw());
    }
    assert.ok(1 - tokens / cells <= 0.05, `padding ${1 - tokens / cells}`);
  });
});
