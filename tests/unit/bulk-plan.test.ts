import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, test } from 'node:test';
import { windowSeconds } from '@headrace/shared/bulk/batch.ts';
import { ChunkCutter, decodePlan, encodePlan } from '@headrace/shared/bulk/chunk-plan.ts';
import { DuplicateIds } from '@headrace/shared/bulk/duplicate-ids.ts';

/** Lines of the given lengths, one after the other. */
function linesOf(lengths: number[]) {
  let at = 0;
  return lengths.map((length, i) => {
    const startByte = at;
    at += length;
    return { number: i + 1, startByte, endByte: at, bytes: null, problem: null };
  });
}

function cut(lengths: number[]) {
  const cutter = new ChunkCutter({ maxRows: 3, maxBytes: 100 });
  for (const line of linesOf(lengths)) cutter.add(line);
  return cutter.chunks;
}

describe('chunks', () => {
  test('end at so many rows, or before so many bytes', () => {
    const chunks = cut([10, 10, 10, 10, 60, 60, 10]);
    assert.deepEqual(
      chunks.map(({ startByte, endByte, rows, firstLine }) => [
        startByte,
        endByte,
        rows,
        firstLine,
      ]),
      [
        [0, 30, 3, 1],
        [30, 100, 2, 4],
        [100, 170, 2, 6],
      ],
    );
  });

  test('of one line may be larger', () => {
    assert.deepEqual(
      cut([10, 500, 10]).map(({ rows, endByte }) => [rows, endByte]),
      [
        [1, 10],
        [1, 510],
        [1, 520],
      ],
    );
  });

  test('come back from a plan, each with its own duplicates', () => {
    const plan = decodePlan(encodePlan(cut([10, 10, 10, 10, 10]), [2, 4, 5]));
    assert.equal(plan.chunks, 2);
    assert.deepEqual(plan.payload('batch_a', 0), {
      ...{ v: 1, batch: 'batch_a', index: 0, start_byte: 0, end_byte: 30, first_line: 1, rows: 3 },
      duplicates: [2],
    });
    assert.deepEqual(plan.payload('batch_a', 1).duplicates, [4, 5]);
    assert.throws(() => plan.payload('batch_a', 2), RangeError);
  });

  test('of another version are refused', () => {
    assert.throws(() => decodePlan('{"v":2,"chunks":[],"duplicates":[]}'));
  });
});

describe('duplicate ids', () => {
  function find(ids: string[], most = 100, partitionEntries = 4): number[] {
    const duplicates = new DuplicateIds({ partitionEntries });
    try {
      for (const [i, id] of ids.entries()) duplicates.add(id, i + 1);
      return duplicates.lines(most);
    } finally {
      duplicates.dispose();
    }
  }

  test('are the later lines, however far apart and in whatever memory', () => {
    const ids = Array.from({ length: 20_000 }, (_, i) => `id-${i}`);
    ids[19_999] = 'id-0';
    ids[10] = 'id-9';
    ids[11] = 'id-9';
    for (const entries of [1, 4, 100_000])
      assert.deepEqual(find(ids, 100, entries), [11, 12, 20_000]);
  });

  test('are none where there are none', () => {
    assert.deepEqual(find(['a', 'b', 'A', 'a ', '']), []);
  });

  test('are not looked for any further than asked', () => {
    assert.equal(find(Array(50).fill('same'), 10).length, 10);
  });

  test('leave no temporary file', () => {
    const folders = () => readdirSync(tmpdir()).filter((name) => name.startsWith('headrace-ids-'));
    const before = folders();
    find(
      Array.from({ length: 5_000 }, (_, i) => `${i}`),
      10,
      1,
    );
    assert.deepEqual(
      folders().filter((name) => existsSync(name) && !before.includes(name)),
      [],
    );
  });
});

describe('a completion window', () => {
  const windows: [string, number | null][] = [
    ['24h', 86_400],
    ['1h', 3_600],
    ['7d', 604_800],
    ['168h', 604_800],
    ['0h', null],
    ['8d', null],
    ['169h', null],
    ['24', null],
    ['1.5h', null],
    [' 24h', null],
    ['', null],
  ];
  for (const [window, seconds] of windows) {
    test(`${JSON.stringify(window)} is ${seconds}`, () => {
      assert.equal(windowSeconds(window), seconds);
    });
  }
});
