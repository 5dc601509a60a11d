import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  Batcher,
  type BatcherRow,
  type BatchFacts,
  type BatchReport,
  type BatchRunner,
  type PreparedBatch,
} from '../../apps/worker/src/inference/batcher.ts';
import type {
  BatchOutcome,
  EncodingOutcome,
  TensorBatch,
} from '../../apps/worker/src/inference/engine/tensor-batch.ts';

/** Engines that answer when the test says so. */
class StillRunner implements BatchRunner {
  onFree: (() => void) | null = null;
  readonly engines: number;
  readonly running: { batch: TensorBatch; settle: (outcome: BatchOutcome) => void }[] = [];

  constructor(engines: number) {
    this.engines = engines;
  }

  get freeSlots(): number {
    return 2 * this.engines - this.running.length;
  }

  get idleEngines(): number {
    return Math.max(0, this.engines - this.running.length);
  }

  run(batch: TensorBatch): Promise<BatchOutcome> {
    const { promise, resolve } = Promise.withResolvers<BatchOutcome>();
    this.running.push({ batch, settle: resolve });
    return promise;
  }

  /** Answers the oldest run: each row with its length. */
  async answer(inferMs = 1): Promise<TensorBatch> {
    const run = this.running.shift();
    assert.ok(run, 'nothing runs');
    const outcomes = run.batch.encodings.map(
      ({ ids }): EncodingOutcome => ({ ok: true, values: Float32Array.of(ids.length) }),
    );
    run.settle({ outcomes, inferMs });
    await nextTurn();
    this.onFree?.();
    return run.batch;
  }
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

interface TestRow extends BatcherRow {
  outcomes: { outcome: EncodingOutcome; batch: BatchFacts }[];
  dispatched: number;
}

function row(length: number, startTime = 0): TestRow {
  return {
    encoding: { ids: new Int32Array(length), typeIds: null },
    startTime,
    flow: 'a tenant',
    timeoutMs: 1_000,
    outcomes: [],
    dispatched: 0,
    onDispatch() {
      this.dispatched += 1;
    },
    onOutcome(outcome, batch) {
      this.outcomes.push({ outcome, batch });
    },
  };
}

function setUp(options: { maxQueueDelayMs?: number; now?: () => number } = {}) {
  const runner = new StillRunner(1);
  const reports: BatchReport[] = [];
  const batcher = new Batcher({
    runner,
    tokenBudget: 100,
    overheadCells: 4,
    maxQueueDelayMs: 60_000,
    runTimeoutMs: 1_000,
    onBatch: (report) => reports.push(report),
    ...options,
  });
  return { runner, batcher, reports };
}

const lengths = (batch: TensorBatch | undefined) => batch?.encodings.map(({ ids }) => ids.length);

describe('batcher', () => {
  test('gives an idle engine a single row at once', async () => {
    const { runner, batcher } = setUp();
    batcher.add(row(10));
    await nextTurn();
    assert.deepEqual(lengths(runner.running[0]?.batch), [10]);
  });

  test('batches the rows of one turn together', async () => {
    const { runner, batcher } = setUp();
    for (let i = 0; i < 5; i++) batcher.add(row(10));
    await nextTurn();
    assert.equal(runner.running.length, 1);
    assert.equal(runner.running[0]?.batch.encodings.length, 5);
  });

  test('keeps a small batch for company while every engine is busy, but not for long', async () => {
    const clock = { ms: 0 };
    const { runner, batcher } = setUp({ maxQueueDelayMs: 50, now: () => clock.ms });
    batcher.add(row(90));
    await nextTurn();
    batcher.add(row(10));
    await nextTurn();
    batcher.add(row(11));
    await nextTurn();
    assert.equal(runner.running.length, 1);
    clock.ms = 50;
    batcher.tick();
    assert.deepEqual(lengths(runner.running[1]?.batch)?.sort(), [10, 11]);
  });

  test('prepares a batch behind a busy engine as soon as it is worth it, and no third', async () => {
    const { runner, batcher } = setUp();
    for (const length of [90, 80, 70, 60]) {
      batcher.add(row(length));
      await nextTurn();
    }
    assert.deepEqual(
      runner.running.map(({ batch }) => lengths(batch)),
      [[90], [80]],
    );
    assert.equal(batcher.waitingRows, 2);
  });

  test('serves the row that is first in order next, not the one that packs best', async () => {
    const { runner, batcher } = setUp();
    batcher.add(row(90));
    batcher.add(row(90));
    await nextTurn();
    for (let i = 0; i < 10; i++) batcher.add(row(10, 7));
    batcher.add(row(60, 3));
    await nextTurn();
    await runner.answer();
    assert.deepEqual(runner.running.map(({ batch }) => lengths(batch)).at(-1), [60]);
  });

  test('hands each row its own numbers and the facts of its batch', async () => {
    const { runner, batcher, reports } = setUp();
    const rows = [row(9), row(10)];
    for (const each of rows) batcher.add(each);
    await nextTurn();
    await runner.answer();
    for (const [i, each] of rows.entries()) {
      assert.equal(each.dispatched, 1);
      assert.deepEqual(each.outcomes, [
        {
          outcome: { ok: true, values: Float32Array.of(9 + i) },
          batch: { rows: 2, longest: 10, inferMs: 1, trace: undefined },
        },
      ]);
    }
    assert.deepEqual(reports, [{ rows: 2, tokens: 19, cells: 20, inferMs: 1 }]);
  });

  test('drops a row whose caller went away before it costs a run', async () => {
    const { runner, batcher } = setUp();
    const gone = row(10);
    batcher.add(gone);
    batcher.drop(gone);
    await nextTurn();
    assert.equal(runner.running.length, 0);
    assert.equal(batcher.waitingRows, 0);
  });

  test('ignores the result of a row that was dropped while it ran', async () => {
    const { runner, batcher } = setUp();
    const [gone, kept] = [row(10), row(10)];
    batcher.add(gone);
    batcher.add(kept);
    await nextTurn();
    batcher.drop(gone);
    await runner.answer();
    assert.equal(gone.outcomes.length, 0);
    assert.equal(kept.outcomes.length, 1);
  });

  test('fails a row whose time is up, once, and ignores its late result', async () => {
    const { runner, batcher } = setUp();
    const late = row(10);
    batcher.add(late);
    await nextTurn();
    batcher.failLate(performance.now());
    assert.equal(late.outcomes.length, 0);
    batcher.failLate(performance.now() + 1_001);
    await runner.answer();
    assert.deepEqual(
      late.outcomes.map(({ outcome }) => outcome),
      [{ ok: false, code: 'row_timed_out' }],
    );
  });

  test('makes smaller batches after the device had no memory', async () => {
    const { runner, batcher } = setUp();
    batcher.lowerBudget(100);
    for (let i = 0; i < 8; i++) batcher.add(row(10));
    await nextTurn();
    assert.equal(runner.running[0]?.batch.encodings.length, 5);
    assert.equal(batcher.tokenBudget, 50);
  });
});

interface TestBatch extends PreparedBatch {
  isWanted: boolean;
  outcomes: EncodingOutcome[][];
}

function prepared(...lengths: number[]): TestBatch {
  const outcomes: EncodingOutcome[][] = [];
  return {
    encodings: lengths.map((length) => ({ ids: new Int32Array(length), typeIds: null })),
    ...{ timeoutMs: 1_000, isWanted: true, outcomes },
    onOutcomes: (some) => void outcomes.push(some),
  };
}

describe('batches that were prepared elsewhere', () => {
  test('run as they are, when no row of the shelf waits', async () => {
    const { batcher, runner } = setUp();
    const apart = prepared(3, 9);
    batcher.addPrepared(apart);
    batcher.addPrepared(prepared(2));
    await nextTurn();
    const late = row(4);
    batcher.add(late);
    await nextTurn();
    assert.deepEqual(await runner.answer(), { encodings: apart.encodings, longest: 9 });
    assert.deepEqual(apart.outcomes, [
      [
        { ok: true, values: Float32Array.of(3) },
        { ok: true, values: Float32Array.of(9) },
      ],
    ]);
    await runner.answer();
    assert.deepEqual((await runner.answer()).encodings, [late.encoding]);
  });

  test('wait for rows of the shelf, but not for ever', async () => {
    const { batcher, runner } = setUp();
    const apart = prepared(7);
    // Each fills a batch, and two are always left on the shelf.
    for (let i = 0; i < 4; i++) batcher.add(row(80));
    await nextTurn();
    batcher.addPrepared(apart);
    let turns = 0;
    while (apart.outcomes.length === 0) {
      batcher.add(row(80));
      await nextTurn();
      await runner.answer();
      turns += 1;
      assert.ok(turns < 40, 'it was starved');
    }
    assert.ok(turns > 5, 'it had its turn before the others');
  });

  test('wait in no engine while runs are long, so that a row waits for one of them', async () => {
    const { batcher, runner } = setUp({ maxQueueDelayMs: 0 });
    for (let i = 0; i < 5; i++) batcher.addPrepared(prepared(3 + i));
    await nextTurn();
    assert.equal(runner.running.length, 2);
    await runner.answer(100);
    assert.equal(runner.running.length, 1);
    const late = row(50);
    batcher.add(late);
    await nextTurn();
    await runner.answer(100);
    assert.deepEqual((await runner.answer()).encodings, [late.encoding]);
    assert.equal(runner.running.length, 1);
    await runner.answer(5);
    assert.equal(runner.running.length, 2);
    assert.equal((await runner.answer(5)).longest, 6);
  });

  test('do not run when nobody wants them any more', async () => {
    const { batcher, runner } = setUp();
    const [wanted, unwanted] = [prepared(3, 5), prepared(7)];
    batcher.addPrepared(unwanted);
    batcher.addPrepared(wanted);
    unwanted.isWanted = false;
    await nextTurn();
    assert.deepEqual((await runner.answer()).encodings, wanted.encodings);
    assert.equal(runner.running.length, 0);
  });

  test('fail as a whole when they are late, and once', async () => {
    const { batcher, runner } = setUp();
    const apart = prepared(3, 5);
    batcher.addPrepared(apart);
    await nextTurn();
    batcher.failLate(performance.now() + 2_000);
    await runner.answer();
    const late: EncodingOutcome = { ok: false, code: 'row_timed_out' };
    assert.deepEqual(apart.outcomes, [[late, late]]);
  });
});
