import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseRange } from '../../apps/api/src/middleware/byte-range.ts';

describe('a Range header', () => {
  const parts: [string, number, number][] = [
    ['bytes=0-0', 0, 1],
    ['bytes=2-4', 2, 5],
    ['bytes=8-', 8, 10],
    ['bytes=8-99', 8, 10],
    ['bytes=-3', 7, 10],
    ['bytes=-99', 0, 10],
    ['bytes = 1 - 2', 1, 3],
  ];
  for (const [header, start, end] of parts) {
    test(`${header} of ten bytes is ${start} to ${end}`, () => {
      assert.deepEqual(parseRange(header, 10), { start, end });
    });
  }

  for (const header of [
    undefined,
    '',
    'bytes=',
    'bytes=-',
    'rows=1-2',
    'bytes=4-2',
    'bytes=0-1,3-4',
  ]) {
    test(`${header} asks for everything`, () => assert.equal(parseRange(header, 10), null));
  }

  for (const header of ['bytes=10-', 'bytes=10-20', 'bytes=-0']) {
    test(`${header} lies outside of ten bytes`, () => {
      assert.throws(() => parseRange(header, 10), { code: 'range_not_satisfiable' });
    });
  }
});
