import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inflateSync } from 'node:zlib';
import { plot } from '../../bench/scaling/plot.ts';
import { readRules, runRule } from '../../bench/scaling/simulation.ts';

describe('the simulation of scaling', () => {
  const [waitingOnly, lists, work] = readRules();

  test('goes from none to all pods in a burst, and back to none', () => {
    for (const rule of [lists, work]) {
      const { steps, mostReplicas, lostTokens } = runRule('burst', rule);
      assert.equal(steps[0]?.replicas, 0);
      assert.equal(mostReplicas, 8);
      assert.deepEqual([steps.at(-1)?.replicas, steps.at(-1)?.backlog, lostTokens], [0, 0, 0]);
    }
  });

  test('loses work where only waiting chunks are counted, and none by our two ways', () => {
    assert.ok(runRule('night', waitingOnly).lostTokens > 0);
    assert.deepEqual(
      [lists, work].map((rule) => runRule('night', rule).busyStops),
      [0, 0],
    );
  });
});

test('a plot is a PNG of its size', () => {
  const points = [
    { x: 0, y: 0 },
    { x: 60, y: 10 },
  ];
  const red = [255, 0, 0] as const;
  const png = plot([{ title: 'a', lines: [{ label: 'b', color: red, points }] }]);
  assert.equal(png.subarray(1, 4).toString(), 'PNG');
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const at = png.indexOf('IDAT');
  const rows = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)));
  assert.equal(rows.length, height * (1 + 3 * width));
  assert.ok(rows.includes(Buffer.from(red)));
});
