import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bytes, counted, duration } from '../../apps/cli/src/terminal/numbers.ts';
import { progressBar, progressText, SpeedMeter } from '../../apps/cli/src/terminal/progress.ts';
import { createProgressReport } from '../../apps/cli/src/terminal/progress-report.ts';

const half = {
  ...{ label: 'scoring', done: 500, total: 1_000, unit: 'rows' as const, perSecond: 50 },
  note: '3 failed',
};
const HALF = '50 % · 500 of 1,000 rows · 50 rows/s · 10 s left · 3 failed';

test('figures are written for people', () => {
  assert.deepEqual([0, 999, 1_000, 1_234_567, 123_456_789, 1e12].map(bytes), [
    ...['0 B', '999 B', '1.0 kB', '1.2 MB', '123 MB', '1.0 TB'],
  ]);
  assert.deepEqual([0.2, 59, 61, 7_260].map(duration), ['0 s', '59 s', '1 min 1 s', '2 h 1 min']);
  assert.deepEqual([counted(1, 'row'), counted(12_345, 'row')], ['1 row', '12,345 rows']);
});

describe('a line of progress', () => {
  test('has a bar that fills the room that there is', () => {
    assert.equal(progressText(half), `scoring ${HALF}`);
    const wide = progressBar(half, 120);
    assert.equal(wide, `scoring ${'█'.repeat(12)}${'░'.repeat(12)} ${HALF}`);
    assert.match(progressBar(half, 80), /^scoring █+░+ 50 %/);
    for (let columns = 1; columns < 130; columns += 1) {
      assert.ok(progressBar(half, columns).length < columns, `${columns}`);
    }
  });

  test('says no more than what is known', () => {
    const unknown = { ...half, total: null, perSecond: null, note: null };
    assert.equal(progressBar(unknown, 80), 'scoring 500 rows');
    assert.equal(progressBar({ ...unknown, label: 'checking', done: 0 }, 80), 'checking');
    const upload = {
      ...unknown,
      label: 'uploading',
      done: 5e8,
      total: 1e9,
      unit: 'bytes' as const,
    };
    assert.equal(progressText(upload), 'uploading 50 % · 500 MB of 1.0 GB');
    assert.equal(
      progressText({ ...half, done: 1_000, perSecond: 0, note: null }).includes('left'),
      false,
    );
  });
});

test('speed is that of the last while', () => {
  const meter = new SpeedMeter(10_000);
  assert.equal(meter.add(0, 0), null);
  assert.equal(meter.add(100, 1_000), 100);
  assert.equal(meter.add(100, 9_000), 100 / 9);
  // A long pause leaves nothing of what was before.
  assert.equal(meter.add(100, 60_000), null);
  assert.equal(meter.add(150, 61_000), 50);
  // A new try.
  assert.equal(meter.add(10, 62_000), null);
  assert.equal(meter.add(20, 63_000), 10);
});

describe('progress is reported', () => {
  function report(stream: { isTTY?: boolean; columns?: number }, quiet = false) {
    const written: string[] = [];
    let nowMs = 0;
    const { show, clear } = createProgressReport({
      stream: { ...stream, write: (text) => written.push(text) },
      quiet,
      now: () => nowMs,
    });
    const showAt = (atMs: number, done: number, label = 'scoring') => {
      nowMs = atMs;
      show({ label, done, total: 10, unit: 'rows' });
    };
    return { written, showAt, clear };
  }

  test('on a terminal by one line that is written over', () => {
    const { written, showAt, clear } = report({ isTTY: true, columns: 0 });
    showAt(0, 0);
    showAt(10, 1);
    showAt(1_000, 5);
    clear();
    clear();
    assert.deepEqual(written, [
      `\r\x1b[Kscoring ${'░'.repeat(24)} 0 % · 0 of 10 rows`,
      `\r\x1b[Kscoring ${'█'.repeat(12)}${'░'.repeat(12)} 50 % · 5 of 10 rows · 5 rows/s · 1 s left`,
      '\r\x1b[K',
    ]);
  });

  test('elsewhere by a line every few seconds, and none for what is short', () => {
    const { written, showAt, clear } = report({});
    for (let atMs = 0; atMs <= 4_900; atMs += 100) showAt(atMs, 1);
    assert.deepEqual(written, []);
    for (let atMs = 5_000; atMs <= 12_000; atMs += 100) showAt(atMs, 2);
    clear();
    assert.equal(written.length, 2);
    for (const line of written) assert.match(line, /^scoring 20 % · 2 of 10 rows[^\r]*\n$/);
  });

  test('not at all where it shall be quiet', () => {
    const { written, showAt } = report({ isTTY: true }, true);
    showAt(0, 1);
    assert.deepEqual(written, []);
  });
});
