import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pool } from '../../apps/worker/src/inference/engine/pooling.ts';

/** Two rows of at most three tokens, two numbers each; 99 stands in the padding. */
const HIDDEN = {
  values: Float32Array.of(1, -8, 3, -4, 99, 99, 5, 1, -1, 2, 2, 6),
  lengths: Int32Array.of(2, 3),
  longest: 3,
  width: 2,
};

describe('pooling', () => {
  test('mean: averages the tokens, not the padding', () => {
    assert.deepEqual(pool(HIDDEN, 'mean'), Float32Array.of(2, -6, 2, 3));
  });

  test('max: takes the largest of each number, not of the padding', () => {
    assert.deepEqual(pool(HIDDEN, 'max'), Float32Array.of(3, -4, 5, 6));
  });

  test('cls: takes the first token', () => {
    assert.deepEqual(pool(HIDDEN, 'cls'), Float32Array.of(1, -8, 5, 1));
  });

  test('max: does not hide a NaN', () => {
    const values = Float32Array.of(1, Number.NaN, 2);
    const row = { values, lengths: Int32Array.of(3), longest: 3, width: 1 };
    assert.deepEqual(Array.from(pool(row, 'max')), [Number.NaN]);
  });

  test('mean: adds in double precision', () => {
    const values = new Float32Array(100_000).fill(0.1);
    const row = { values, lengths: Int32Array.of(100_000), longest: 100_000, width: 1 };
    assert.deepEqual(pool(row, 'mean'), Float32Array.of(0.1));
  });

  test('gives zeros for a row without tokens', () => {
    const empty = { ...HIDDEN, lengths: Int32Array.of(0, 3) };
    for (const how of ['mean', 'cls', 'max'] as const) {
      assert.deepEqual(pool(empty, how).subarray(0, 2), Float32Array.of(0, 0));
    }
  });
});
