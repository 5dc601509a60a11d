import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Activity, bucketOf, percentilesOf } from '@headrace/shared/activity.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { ActivityWindow } from '../../apps/api/src/overview/activity-window.ts';
import { ErrorWindow } from '../../apps/api/src/overview/error-counts.ts';
import { overviewEvents } from '../../apps/api/src/overview/overview-events.ts';
import { forTenants, type OverviewSample } from '../../apps/api/src/overview/sample.ts';
import { ActivityMeter } from '../../apps/worker/src/inference/activity-meter.ts';

const MODEL = 'm@1';
const ENGINES = { all: 2, ready: 1 };
const BATCH = { rows: 4, tokens: 60, cells: 80, inferMs: 500 };

function reportAt(atMs: number, activity: Activity | undefined, id = 'a') {
  const model = { model: MODEL, variant: 'v', ready: true, tokens_per_s: 1, rows_per_s: 1 };
  return { id, at_ms: atMs, models: [{ ...model, activity }] };
}

/** A worker that runs `BATCH` so many times between two reports. */
function createWorker(id = 'a') {
  const meter = new ActivityMeter();
  return {
    report(atMs: number, batches: number) {
      for (let i = 0; i < batches; i += 1) meter.addBatch(BATCH);
      return reportAt(atMs, meter.read(ENGINES), id);
    },
    meter,
  };
}

describe('counts of durations', () => {
  test('give percentiles that are off by 10 % at most', () => {
    const values = Array.from({ length: 20_000 }, (_, i) => 0.5 * 1.0005 ** i);
    const counts = Map.groupBy(values, bucketOf);
    const found = percentilesOf(new Map([...counts].map(([bucket, all]) => [bucket, all.length])));
    const exact = (share: number) => values[Math.ceil(share * values.length) - 1] ?? 0;
    assert.ok(found !== null);
    for (const [value, share] of [
      [found.p50, 0.5],
      [found.p95, 0.95],
      [found.p99, 0.99],
    ] as const) {
      assert.ok(Math.abs(value / exact(share) - 1) < 0.1, `${value} for ${exact(share)}`);
    }
  });

  test('take what no clock should give, and give nothing for nothing', () => {
    for (const ms of [-5, 0, Number.NaN, 0.01]) assert.equal(bucketOf(ms), 0);
    assert.ok(Number.isInteger(bucketOf(Number.MAX_VALUE)));
    assert.equal(percentilesOf(new Map()), null);
    assert.equal(percentilesOf(new Map([[3, 0]])), null);
    const one = percentilesOf(new Map([[bucketOf(100), 1]]));
    assert.ok(one !== null && one.p50 === one.p99);
  });
});

describe('what workers did lately', () => {
  const over = (window: ActivityWindow, nowMs: number, windowMs = 2_000) =>
    window.over(MODEL, { windowMs, nowMs });

  test('is what they did between two of their reports, by their own clocks', () => {
    const window = new ActivityWindow(5_000);
    const worker = createWorker();
    for (const second of [0, 1, 2, 3]) {
      const atMs = 1_000_000 + second * 1_000;
      window.note([worker.report(atMs, second)], 50_000 + second * 1_300);
    }
    const recent = over(window, 54_000);
    // 2 and 3 batches in the last two seconds.
    assert.equal(recent.rowsPerS, (5 * BATCH.rows) / 2);
    assert.equal(recent.tokensPerS, (5 * BATCH.tokens) / 2);
    assert.equal(recent.batchRows, BATCH.rows);
    assert.equal(recent.paddingRatio, 0.25);
    assert.equal(recent.engines.busy, (5 * BATCH.inferMs) / (2 * 2_000));
    assert.deepEqual([recent.engines.total, recent.engines.ready], [2, 1]);
  });

  test('is the sum over workers, also of those that came or went meanwhile', () => {
    const window = new ActivityWindow(5_000);
    const [a, b] = [createWorker('a'), createWorker('b')];
    window.note([a.report(0, 0), b.report(0, 0)], 0);
    window.note([a.report(2_000, 1), b.report(2_000, 2)], 2_000);
    assert.equal(over(window, 2_000).rowsPerS, (3 * BATCH.rows) / 2);
    window.note([a.report(4_000, 1), createWorker('c').report(4_000, 90)], 4_000);
    // The first report of `c` says nothing of when that was done, and `b` is no more.
    assert.equal(over(window, 4_000).rowsPerS, BATCH.rows / 2);
    assert.equal(over(window, 4_000).engines.total, 4);
  });

  test('is nothing of a worker that is silent, and not less than that when its clock goes back', () => {
    const window = new ActivityWindow(5_000);
    const worker = createWorker();
    window.note([worker.report(0, 0)], 0);
    const last = worker.report(1_000, 1);
    window.note([last], 1_000);
    window.note([last], 6_000);
    assert.equal(over(window, 6_000).rowsPerS, 0);
    window.note([worker.report(-3_600_000, 1)], 7_000);
    assert.equal(over(window, 7_000).rowsPerS, 0);
    window.note([worker.report(-3_599_000, 1)], 8_000);
    assert.equal(over(window, 8_000).rowsPerS, BATCH.rows);
  });

  test('knows waits, ends and failures of jobs, and is null where there is nothing to say', () => {
    const window = new ActivityWindow(5_000);
    const worker = createWorker();
    worker.meter.addJob({ code: 'empty_text', times: null });
    window.note([worker.report(0, 0), reportAt(0, undefined, 'older')], 0);
    const before = over(window, 0);
    assert.deepEqual([before.waitMs, before.totalMs, before.paddingRatio], [null, null, null]);
    assert.deepEqual([before.batchRows, before.engines.busy], [null, null]);
    worker.meter.addJob({ code: null, times: { waitMs: 10, totalMs: 30 } });
    worker.meter.addJob({ code: 'out_of_memory', times: { waitMs: 1_000, totalMs: 1_000 } });
    window.note([worker.report(1_000, 0)], 1_000);
    const recent = over(window, 1_000);
    assert.deepEqual([...recent.errors], [['out_of_memory', 1]]);
    assert.equal(recent.jobsPerS, 2);
    assert.ok(recent.waitMs !== null && recent.waitMs.p50 < 11 && recent.waitMs.p99 > 900);
  });
});

describe('errors that were answered lately', () => {
  test('are counted by code over all processes, not those of before a process was seen', () => {
    const window = new ErrorWindow(5_000);
    window.note(new Map([['a', { not_found: 7 }]]), 0);
    assert.deepEqual([...window.over(2_000)], []);
    window.note(
      new Map([
        ['a', { not_found: 9 }],
        ['b', { unauthorized: 50 }],
      ]),
      1_000,
    );
    window.note(
      new Map([
        ['a', { not_found: 9, overloaded: 1 }],
        ['b', { unauthorized: 53 }],
      ]),
      2_000,
    );
    const found = Object.fromEntries(window.over(1_000));
    assert.deepEqual(found, { overloaded: 1, unauthorized: 3 });
    assert.deepEqual(Object.fromEntries(window.over(2_000)), { not_found: 2, overloaded: 1 });
  });
});

const SAMPLE: OverviewSample = {
  at: 1,
  models: [
    {
      ...{ model: MODEL, workers: 1 },
      backlog: { rows: 1, tokens: 2, chunks: 3, drain_s: 4, oldest_s: 5 },
      bulk: { rows: 6, tokens: 7, drain_s: 8 },
      traffic: null,
      engines: { total: 1, ready: 1, busy: 0.5, restarts: 0 },
    },
  ],
  redis: { used_bytes: 1, max_bytes: null },
  errors: [],
};

test('a tenant sees what waits, and not what all tenants do', () => {
  const { models, redis, errors } = forTenants(SAMPLE);
  assert.deepEqual([redis, errors], [null, null]);
  const [model] = models;
  assert.deepEqual([model?.traffic, model?.engines, model?.backlog.oldest_s], [null, null, null]);
  assert.deepEqual([model?.backlog.rows, model?.bulk.rows], [1, 6]);
});

describe('the stream of the overview', () => {
  function open(check: () => unknown = () => undefined) {
    let watcher: ((event: 'now' | 'point', sample: OverviewSample) => void) | null = null;
    const closed: string[] = [];
    let end = () => {};
    const stream = overviewEvents({
      overview: {
        read: () => Promise.reject(new Error('not asked for')),
        watch(_, given) {
          watcher = given;
          return () => {
            watcher = null;
            closed.push('watcher');
          };
        },
        onStop(callback) {
          end = callback;
          return () => closed.push('stop');
        },
        stop: async () => undefined,
        tick: async () => undefined,
      },
      sight: 'all',
      check,
      onClose: () => closed.push('slot'),
    });
    return { stream, closed, end: () => end(), tell: () => watcher?.('now', SAMPLE) };
  }
  const ALL = ['slot', 'stop', 'watcher'];
  const text = (stream: ReadableStream<Uint8Array>) => new Response(stream).text();

  test('gives everything back once, when the caller goes away and when the process stops', async () => {
    const left = open();
    await left.stream.cancel();
    assert.deepEqual(left.closed.sort(), ALL);
    const stopped = open();
    stopped.tell();
    stopped.end();
    stopped.end();
    stopped.tell();
    assert.match(await text(stopped.stream), /^retry: 1000\n\nevent: now\ndata: \{"at":1.*\}\n\n$/);
    assert.deepEqual(stopped.closed.sort(), ALL);
  });

  test('ends with the reason when the key is good no more', async () => {
    const it = open(() => Promise.reject(new AppError('unauthorized')));
    const last = (await text(it.stream)).trimEnd().split('\n\n').at(-1);
    assert.match(last ?? '', /^event: error\ndata: \{"error":\{.*"code":"unauthorized"/);
    assert.deepEqual(it.closed.sort(), ALL);
  });

  test('keeps little for somebody who does not read, and then ends', async () => {
    const it = open();
    for (let i = 0; i < 1_000; i += 1) it.tell();
    assert.deepEqual(it.closed.sort(), ALL);
    assert.ok((await text(it.stream)).split('event: now').length < 40);
  });
});
