import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Tensor } from 'onnxruntime-node';
import { InputScratch } from '../../apps/worker/src/inference/engine/input-scratch.ts';
import { packRows } from '../../apps/worker/src/inference/engine/packed-rows.ts';

const SHORT = { ids: Int32Array.of(2, 3), typeIds: null };
const LONG = { ids: Int32Array.of(4, 5, 6), typeIds: Int32Array.of(0, 1, 1) };

function read(tensor: Tensor | undefined): { dims: readonly number[]; data: number[] } {
  assert.ok(tensor?.data instanceof BigInt64Array);
  return { dims: tensor.dims, data: Array.from(tensor.data, Number) };
}

describe('packRows', () => {
  test('lines the rows up without padding', () => {
    assert.deepEqual(packRows([SHORT, SHORT], 0, 2), {
      ids: Int32Array.of(2, 3, 2, 3),
      lengths: Int32Array.of(2, 2),
      typeIds: null,
    });
  });

  test('takes a part of the rows only', () => {
    assert.deepEqual(packRows([LONG, SHORT, LONG], 1, 2), {
      ids: SHORT.ids,
      lengths: Int32Array.of(2),
      typeIds: null,
    });
  });

  test('gives rows without type ids zeros beside rows that have them', () => {
    const { typeIds } = packRows([SHORT, LONG, SHORT], 0, 3);
    assert.deepEqual(typeIds, Int32Array.of(0, 0, 0, 1, 1, 0, 0));
  });

  test('refuses rows that are not there', () => {
    assert.throws(() => packRows([SHORT], 0, 2), RangeError);
  });
});

describe('InputScratch', () => {
  const inputs = ['input_ids', 'attention_mask', 'token_type_ids'] as const;

  test('pads to the longest row, and masks the padding', () => {
    const { feeds, longest } = new InputScratch(inputs).fill(packRows([SHORT, LONG], 0, 2), Tensor);
    assert.equal(longest, 3);
    assert.deepEqual(read(feeds.input_ids), { dims: [2, 3], data: [2, 3, 0, 4, 5, 6] });
    assert.deepEqual(read(feeds.attention_mask), { dims: [2, 3], data: [1, 1, 0, 1, 1, 1] });
    assert.deepEqual(read(feeds.token_type_ids), { dims: [2, 3], data: [0, 0, 0, 0, 1, 1] });
  });

  test('gives a graph only the inputs that it has', () => {
    const { feeds } = new InputScratch(['input_ids']).fill(packRows([SHORT], 0, 1), Tensor);
    assert.deepEqual(Object.keys(feeds), ['input_ids']);
  });

  test('keeps nothing of an earlier, larger run', () => {
    const scratch = new InputScratch(inputs);
    scratch.fill(packRows([LONG, LONG, LONG], 0, 3), Tensor);
    const { feeds } = scratch.fill(packRows([SHORT, LONG], 0, 2), Tensor);
    assert.deepEqual(read(feeds.input_ids), { dims: [2, 3], data: [2, 3, 0, 4, 5, 6] });
    assert.deepEqual(read(feeds.token_type_ids), { dims: [2, 3], data: [0, 0, 0, 0, 1, 1] });
  });

  test('grows with the run', () => {
    const scratch = new InputScratch(['input_ids']);
    scratch.fill(packRows([SHORT], 0, 1), Tensor);
    const ids = Int32Array.from({ length: 3000 }, (_, i) => i);
    const { feeds } = scratch.fill(packRows([{ ids, typeIds: null }], 0, 1), Tensor);
    assert.deepEqual(read(feeds.input_ids), { dims: [1, 3000], data: Array.from(ids) });
  });
});
