import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { Encoding } from '../../apps/worker/src/inference/encoding.ts';
import type { EnginePool } from '../../apps/worker/src/inference/engine/engine-pool.ts';
import type { EncodingOutcome } from '../../apps/worker/src/inference/engine/tensor-batch.ts';
import {
  AMPLE_MS,
  batchOf,
  NO_CRASH,
  nextFree,
  preparePool,
  startPool,
} from '../helpers/engines.ts';

const HELPER = new URL('../helpers/engines.ts', import.meta.url).href;
const WORDS = ['good', 'bad', 'the product is fine', 'late delivery', 'a great price, love it'];

function textsWith(rows: number, poison: Record<number, string>): string[] {
  return Array.from({ length: rows }, (_, i) => poison[i] ?? WORDS[i % WORDS.length] ?? '');
}

async function runTexts(
  pool: EnginePool,
  encodings: Encoding[],
  deadlineMs = AMPLE_MS,
): Promise<EncodingOutcome[]> {
  return (await pool.run(batchOf(encodings), deadlineMs)).outcomes;
}

/** Each row's outcome when it runs without neighbours, in the same order. */
async function runAlone(pool: EnginePool, encodings: Encoding[]): Promise<EncodingOutcome[]> {
  const outcomes: EncodingOutcome[] = [];
  for (const encoding of encodings) outcomes.push(...(await runTexts(pool, [encoding])));
  return outcomes;
}

function pidOf(pool: EnginePool): number {
  const [pid] = pool.pids;
  assert.ok(pid !== undefined && pid > 1);
  return pid;
}

function killAnEngine(pool: EnginePool): number {
  const pid = pidOf(pool);
  process.kill(pid, 'SIGKILL');
  return pid;
}

/** Rows as in `poison` fail with their code; all others are what they are alone. */
async function assertOnlyPoisonFails(
  pool: EnginePool,
  run: { encodings: Encoding[]; codes: Record<number, string>; deadlineMs?: number },
): Promise<void> {
  const outcomes = await runTexts(pool, run.encodings, run.deadlineMs);
  const innocent = run.encodings.filter((_, i) => run.codes[i] === undefined);
  const alone = await runAlone(pool, innocent);
  assert.deepEqual(
    outcomes.filter((_, i) => run.codes[i] === undefined),
    alone,
  );
  assert.ok(alone.every((outcome) => outcome.ok));
  for (const [row, code] of Object.entries(run.codes)) {
    assert.deepEqual(outcomes[Number(row)], { ok: false, code });
  }
}

describe('an engine pool', () => {
  for (const name of ['tiny-classifier', 'tiny-embedder', 'tiny-hidden']) {
    test(`gives a row of ${name} the same numbers in a batch as alone`, async (t) => {
      const { pool, encode } = await startPool(t, name);
      await assertOnlyPoisonFails(pool, { encodings: textsWith(9, {}).map(encode), codes: {} });
    });
  }

  test('runs batches on every engine, idle ones first', async (t) => {
    const { pool, encode } = await startPool(t, 'tiny-classifier', { engines: 2 });
    assert.equal(pool.freeSlots, 4);
    const batch = batchOf([encode('good')]);
    const runs = [];
    for (const free of [3, 2, 1, 0, 0]) {
      runs.push(pool.run(batch, AMPLE_MS));
      assert.equal(pool.freeSlots, free);
    }
    const outcomes = await Promise.all(runs);
    assert.deepEqual(outcomes[4]?.outcomes, outcomes[0]?.outcomes);
    assert.equal(pool.freeSlots, 4);
  });

  test('says when a batch was answered', async (t) => {
    const { pool, encode } = await startPool(t, 'tiny-classifier');
    const free = nextFree(pool);
    await runTexts(pool, [encode('good')]);
    await free;
    assert.equal(pool.freeSlots, 2);
  });

  test('answers zeros with a null engine', async (t) => {
    const spec = { kind: 'null', model: 'null@1', width: 3, cellsPerS: 0 } as const;
    const { pool, encode } = await startPool(t, 'tiny-classifier', { spec });
    const outcomes = await runTexts(pool, [encode('good'), encode('bad')]);
    const zeros = { ok: true, values: new Float32Array(3) };
    assert.deepEqual(outcomes, [zeros, zeros]);
  });

  test('answers a batch without rows', async (t) => {
    const { pool } = await startPool(t, 'tiny-classifier');
    assert.deepEqual(await runTexts(pool, []), []);
  });

  test('gives its engines the priority that it is told', async (t) => {
    const { pool } = await startPool(t, 'tiny-classifier', { niceness: 7 });
    assert.equal(getPriority(pidOf(pool)), 7);
  });
});

describe('a row that crashes the engine', { skip: NO_CRASH }, () => {
  test('fails alone, after log2(rows) + 1 crashes', async (t) => {
    const { pool, restarts, encode } = await startPool(t, 'tiny-crasher');
    const encodings = textsWith(8, { 3: 'crash' }).map(encode);
    await assertOnlyPoisonFails(pool, { encodings, codes: { 3: 'row_crashed_engine' } });
    assert.deepEqual(restarts, ['crashed', 'crashed', 'crashed', 'crashed']);
  });

  test('is tried twice when it was alone from the beginning', async (t) => {
    const { pool, restarts, encode } = await startPool(t, 'tiny-crasher');
    const codes = { 0: 'row_crashed_engine' };
    await assertOnlyPoisonFails(pool, { encodings: [encode('crash')], codes });
    assert.equal(restarts.length, 2);
  });

  test('does no harm to the batch that was prepared behind it', async (t) => {
    const { pool, restarts, encode } = await startPool(t, 'tiny-crasher');
    const [bad, good] = await Promise.all([
      runTexts(pool, [encode('crash'), encode('good')]),
      runTexts(pool, [encode('good'), encode('bad')]),
    ]);
    assert.deepEqual(bad[0], { ok: false, code: 'row_crashed_engine' });
    assert.deepEqual(bad[1], good[0]);
    assert.ok(good.every((outcome) => outcome.ok));
    assert.equal(restarts.length, 2);
  });

  test('fails with all others of its kind in one batch, and no innocent row', async (t) => {
    const { pool, encode } = await startPool(t, 'tiny-poison', { engines: 2 });
    const poison = { 0: 'crash', 5: 'nan', 6: 'hang', 7: 'crash' };
    const codes = {
      0: 'row_crashed_engine',
      5: 'non_finite_output',
      6: 'row_timed_out',
      7: 'row_crashed_engine',
    };
    const encodings = textsWith(10, poison).map(encode);
    await assertOnlyPoisonFails(pool, { encodings, codes, deadlineMs: 1000 });
  });
});

describe('a row that hangs', () => {
  test('is killed at its deadline and fails alone', async (t) => {
    const { pool, restarts, encode } = await startPool(t, 'tiny-hanger');
    const encodings = textsWith(4, { 2: 'hang' }).map(encode);
    const codes = { 2: 'row_timed_out' };
    await assertOnlyPoisonFails(pool, { encodings, codes, deadlineMs: 500 });
    assert.deepEqual(restarts, ['timed_out', 'timed_out', 'timed_out']);
  });

  test('does not count against a batch that waits behind it', async (t) => {
    const { pool, restarts, encode } = await startPool(t, 'tiny-hanger');
    const [, good] = await Promise.all([
      runTexts(pool, [encode('hang')], 500),
      runTexts(pool, [encode('good')], 500),
    ]);
    assert.ok(good[0]?.ok);
    assert.equal(restarts.length, 2);
  });
});

test('a row that gives NaN fails alone, and no engine ends', async (t) => {
  const { pool, restarts, encode } = await startPool(t, 'tiny-nan');
  const encodings = textsWith(5, { 1: 'nan' }).map(encode);
  await assertOnlyPoisonFails(pool, { encodings, codes: { 1: 'non_finite_output' } });
  assert.deepEqual(restarts, []);
});

test('a row that makes the run throw fails alone, and no engine ends', async (t) => {
  const { pool, restarts, encode } = await startPool(t, 'tiny-classifier');
  const unknownId: Encoding = { ids: Int32Array.of(2, 1_000_000, 3), typeIds: null };
  const encodings = [encode('good'), unknownId, encode('bad')];
  await assertOnlyPoisonFails(pool, { encodings, codes: { 1: 'row_crashed_engine' } });
  assert.deepEqual(restarts, []);
});

test('a batch without memory runs in parts, and the caller is told its size', async (t) => {
  const cells: number[] = [];
  const { pool, encode } = await startPool(t, 'tiny-classifier', {
    onOutOfMemory: (tried) => cells.push(tried),
  });
  const row = encode('the product is good and the delivery is fast');
  const [alone] = await runTexts(pool, [row]);
  if (!limitMemory(pidOf(pool), 65_000_000)) return t.skip('needs /proc and prlimit');
  const outcomes = await runTexts(pool, new Array(100_000).fill(row));
  assert.equal(cells[0], 100_000 * row.ids.length);
  assert.ok(outcomes.every((outcome) => outcome.ok));
  assert.deepEqual(outcomes[99_999], alone);
});

describe('an engine that is killed from outside', () => {
  test('is back without a request, and meanwhile offers no slot', async (t) => {
    const { pool, restarts } = await startPool(t, 'tiny-classifier');
    const free = nextFree(pool);
    const pid = killAnEngine(pool);
    await free;
    assert.deepEqual(restarts, ['killed']);
    assert.ok(pool.healthy);
    assert.equal(pool.freeSlots, 2);
    assert.notEqual(pool.pids[0], pid);
  });

  test('fails no row, killed again and again while it runs', async (t) => {
    const { pool, restarts, encode } = await startPool(t, 'tiny-classifier', { engines: 2 });
    const expected = await runTexts(pool, WORDS.map(encode));
    for (let round = 0; round < 10; round++) {
      const runs = Array.from({ length: 8 }, () => runTexts(pool, WORDS.map(encode)));
      killAnEngine(pool);
      for (const outcomes of await Promise.all(runs)) assert.deepEqual(outcomes, expected);
    }
    assert.ok(restarts.length > 0);
    assert.ok(restarts.every((reason) => reason === 'killed'));
  });

  test('is unhealthy until it can be started again', async (t) => {
    let mayStart = false;
    const refused = Promise.withResolvers<void>();
    const { pool, encode } = await startPool(t, 'tiny-classifier', {
      beforeRestart: async () => {
        if (mayStart) return;
        refused.resolve();
        throw new Error('the file is not what it was');
      },
    });
    killAnEngine(pool);
    await refused.promise;
    assert.equal(pool.healthy, false);
    assert.equal(pool.freeSlots, 0);
    const outcomes = runTexts(pool, [encode('good')]);
    mayStart = true;
    assert.ok((await outcomes)[0]?.ok);
    assert.ok(pool.healthy);
  });
});

describe('stopping a pool', () => {
  test('rejects what hangs and what waits, and ends the processes', async (t) => {
    const { pool, encode } = await startPool(t, 'tiny-hanger');
    const pid = pidOf(pool);
    const runs = [encode('hang'), encode('good'), encode('good')].map((encoding) =>
      runTexts(pool, [encoding]),
    );
    const rejected = runs.map((run) => assert.rejects(run, /tiny-hanger@1 were stopped/));
    await Promise.all([pool.stop(), pool.stop(), ...rejected]);
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    assert.deepEqual([pool.healthy, pool.freeSlots, pool.pids], [false, 0, []]);
    await assert.rejects(runTexts(pool, [encode('good')]), /were stopped/);
  });

  test('after killRunning starts no engine anew', async (t) => {
    const { pool, restarts, encode } = await startPool(t, 'tiny-hanger');
    const run = assert.rejects(runTexts(pool, [encode('hang')]), /were stopped/);
    pool.killRunning();
    await pool.stop();
    await run;
    assert.deepEqual(restarts, []);
  });

  test('is enough for a pool that never started', async () => {
    const { pool } = await preparePool('tiny-classifier');
    await pool.stop();
    await assert.rejects(pool.start(), /were stopped/);
  });
});

test('an engine whose run hangs ends when the process that started it is killed', async () => {
  const script = `
    const { batchOf, preparePool } = await import(${JSON.stringify(HELPER)});
    const { pool, encode } = await preparePool('tiny-hanger');
    await pool.start();
    void pool.run(batchOf([encode('hang')]), 600_000);
    console.log(pool.pids[0]);`;
  const supervisor = spawn(process.execPath, ['--input-type=module', '-e', script]);
  const [line] = await once(supervisor.stdout, 'data');
  const pid = Number(String(line));
  assert.ok(isRunning(pid));
  supervisor.kill('SIGKILL');
  await once(supervisor, 'exit');
  const deadline = Date.now() + AMPLE_MS;
  while (isRunning(pid) && Date.now() < deadline) await wait(100);
  assert.equal(isRunning(pid), false);
});

/** Lets a process take so many bytes of address space more than it has. */
function limitMemory(pid: number, moreBytes: number): boolean {
  const status = `/proc/${pid}/status`;
  if (!existsSync(status)) return false;
  const [, kib] = /^VmSize:\s+(\d+) kB$/m.exec(readFileSync(status, 'utf8')) ?? [];
  const limit = Number(kib) * 1024 + moreBytes;
  return spawnSync('prlimit', ['--pid', String(pid), `--as=${limit}`]).status === 0;
}

/** Nothing tells of the end of somebody else's child; one that nobody reaped is a zombie. */
function isRunning(pid: number): boolean {
  const state = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout;
  return state.trim() !== '' && !state.startsWith('Z');
}
