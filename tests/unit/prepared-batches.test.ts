import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BatcherRow } from '../../apps/worker/src/inference/batcher.ts';
import { cutBatches, PreparedBatches } from '../../apps/worker/src/inference/prepared-batches.ts';

const LIMITS = { tokenBudget: 64, overheadCells: 8 };

function rowOf(length: number): BatcherRow {
  return {
    encoding: { ids: new Int32Array(length), typeIds: null },
    ...{ startTime: 0, timeoutMs: 1_000, onDispatch() {}, onOutcome() {} },
  };
}

const lengths = (batches: { encoding: { ids: Int32Array } }[][]) =>
  batches.map((batch) => batch.map(({ encoding }) => encoding.ids.length));

describe('batches that are cut apart', () => {
  test('go from long to short, within the budget and with little padding', () => {
    const rows = [4, 16, 15, 4, 16, 16, 4, 14, 100].map(rowOf);
    assert.deepEqual(lengths(cutBatches(rows, LIMITS)), [[100], [16, 16, 16, 15], [14], [4, 4, 4]]);
  });

  test('hold every row once', () => {
    const rows = Array.from({ length: 500 }, (_, i) => rowOf(1 + ((i * 37) % 61)));
    const batches = cutBatches(rows, LIMITS);
    assert.deepEqual(new Set(batches.flat()), new Set(rows));
    assert.equal(batches.flat().length, 500);
    for (const [longest = 0, ...rest] of lengths(batches)) {
      assert.ok(rest.length === 0 || (rest.length + 1) * longest <= LIMITS.tokenBudget);
    }
  });

  test('are the same in whatever order the rows came', () => {
    const rows = Array.from({ length: 40 }, (_, i) => rowOf(1 + ((i * 7) % 13)));
    const cut = (order: BatcherRow[]) => {
      const handed: BatcherRow[][] = [];
      const batcher = { addPrepared: (batch: BatcherRow[]) => void handed.push(batch), drop() {} };
      const prepared = new PreparedBatches(batcher, LIMITS);
      for (const row of order) prepared.add(row);
      prepared.flush(rows);
      return handed;
    };
    assert.deepEqual(
      cut(rows).map((batch) => batch.map((row) => rows.indexOf(row))),
      cut(rows.toReversed()).map((batch) => batch.map((row) => rows.indexOf(row))),
    );
  });

  test('are without rows that were dropped before', () => {
    const handed: BatcherRow[][] = [];
    const dropped: BatcherRow[] = [];
    const prepared = new PreparedBatches(
      { addPrepared: (batch) => void handed.push(batch), drop: (row) => void dropped.push(row) },
      LIMITS,
    );
    const [first, second] = [rowOf(3), rowOf(3)];
    prepared.add(first);
    prepared.add(second);
    prepared.drop(first);
    prepared.flush([first, second]);
    assert.deepEqual(handed, [[second]]);
    prepared.drop(second);
    assert.deepEqual(dropped, [second]);
  });
});
