import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setEnvironmentData } from 'node:worker_threads';
import { createTokenizer } from '../../apps/worker/src/inference/tokenizer/tokenizer.ts';
import {
  TokenizerPool,
  type TokenizerPoolOptions,
} from '../../apps/worker/src/inference/tokenizer/tokenizer-pool.ts';
import { AppError } from '../../packages/shared/src/errors.ts';
import type { Overflow } from '../../packages/shared/src/tasks/task.ts';

const FAULTY = new URL('../helpers/faulty-tokenizer-thread.ts', import.meta.url);
const TINY = specOf('tiny-pairs', { wantsTypeIds: true, maxTokens: 16 });
const OTHER = specOf('tiny-classifier', { wantsTypeIds: false, maxTokens: 32 });
const MODEL = 'tiny@1';

const pools: TokenizerPool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.stop()));
});

describe('a tokenizer pool', () => {
  test('gives every caller what the tokenizer gives, whatever it was sent with', async () => {
    const pool = createPool({ threads: 2 });
    await pool.loadModel(MODEL, TINY);
    await pool.loadModel('other@1', OTHER);
    const inline = { [MODEL]: inlineOf(TINY), 'other@1': inlineOf(OTHER) };
    const overflows: Overflow[] = ['truncate', 'chunk', 'truncate'];
    const calls = Array.from({ length: 500 }, (_, i) => ({
      model: i % 3 === 0 ? ('other@1' as const) : (MODEL as 'tiny@1'),
      row: {
        text: `the ${'cat, '.repeat(i % 41)} ${i}${i % 97 === 0 ? 'x '.repeat(40_000) : ''}`,
        text_pair: i % 4 === 0 ? 'a dog '.repeat(i % 23) : null,
      },
      overflow: overflows[i % 3] ?? 'truncate',
    }));
    const rows = await Promise.all(
      calls.map(({ model, row, overflow }) => pool.tokenize(model, row, overflow)),
    );
    rows.forEach((row, i) => {
      const call = calls[i];
      assert.ok(call);
      assert.deepEqual(row, inline[call.model](call.row, call.overflow), `row ${i}`);
    });
  });

  test('does short rows at once, like any other', async () => {
    const pool = createPool({ threads: 1, inlineCharacters: 100 });
    await pool.loadModel(MODEL, TINY);
    const inline = inlineOf(TINY);
    for (const text of ['the cat', 'the cat '.repeat(50)]) {
      assert.deepEqual(
        await pool.tokenize(MODEL, single(text), 'chunk'),
        inline(single(text), 'chunk'),
      );
    }
    await rejectsWith(pool.tokenize(MODEL, single('cat '.repeat(20)), 'error'), 'text_too_long');
    await pool.stop();
    await rejectsWith(pool.tokenize(MODEL, single('the cat'), 'truncate'), 'not_ready');
  });

  test('fails the row that is too long and not its neighbours', async () => {
    const pool = createPool({ threads: 1 });
    await pool.loadModel(MODEL, TINY);
    const [before, long, after] = await Promise.allSettled([
      pool.tokenize(MODEL, single('cat'), 'error'),
      pool.tokenize(MODEL, single('cat '.repeat(20)), 'error'),
      pool.tokenize(MODEL, single('dog'), 'error'),
    ]);
    assert.equal(before.status, 'fulfilled');
    assert.equal(after.status, 'fulfilled');
    assert.ok(long.status === 'rejected' && long.reason instanceof AppError);
    assert.equal(long.reason.code, 'text_too_long');
    assert.equal(long.reason.message, 'The text has 22 tokens, the limit is 16.');
  });

  test('says which tokenizer cannot be loaded, and serves the others', async () => {
    const pool = createPool({ threads: 2 });
    await pool.loadModel(MODEL, TINY);
    await assert.rejects(
      pool.loadModel('broken@1', { ...TINY, path: `${TINY.path}.missing` }),
      /^Error: broken@1: tokenizer\.json: Error: ENOENT/,
    );
    await assert.rejects(
      pool.loadModel('model@1', { ...TINY, path: TINY.path.replace('tokenizer', 'model') }),
      /^Error: model@1: tokenizer\.json: /,
    );
    await rejectsWith(pool.tokenize('broken@1', single('cat'), 'truncate'), 'model_not_found');
    await pool.tokenize(MODEL, single('cat'), 'truncate');
  });

  test('lets short texts pass one that takes long, while another thread is free', async () => {
    const gate = createGate();
    const pool = createPool({ threads: 2, entry: FAULTY });
    await pool.loadModel(MODEL, TINY);
    const held = pool.tokenize(MODEL, single(`hold ${'x '.repeat(20_000)}`), 'chunk');
    await gate.begun;
    const short = Array.from({ length: 300 }, () =>
      pool.tokenize(MODEL, single('cat'), 'truncate'),
    );
    await Promise.all(short);
    gate.open();
    assert.equal((await held).tokens, 20_006);
  });
});

describe('rows of a group', () => {
  test('come back together and in order, with what is wrong with one of them', async () => {
    const pool = createPool({ threads: 2 });
    await pool.loadModel(MODEL, TINY);
    const inline = inlineOf(TINY);
    const rows = Array.from({ length: 900 }, (_, i) => ({
      input: single(`the ${'cat, '.repeat(i % 7)} ${i}${i === 400 ? 'x '.repeat(40) : ''}`),
      overflow: i === 400 ? ('error' as const) : ('truncate' as const),
    }));
    const tokenized = await pool.tokenizeAll(MODEL, rows);
    assert.equal(tokenized.length, rows.length);
    for (const [i, { input, overflow }] of rows.entries()) {
      const found = tokenized[i];
      if (i !== 400) assert.deepEqual(found, inline(input, overflow), `row ${i}`);
      else assert.equal(found instanceof AppError && found.code, 'text_too_long');
    }
    assert.deepEqual(await pool.tokenizeAll(MODEL, []), []);
  });

  test('let a row pass that somebody waits for', async () => {
    const gate = createGate();
    const pool = createPool({ threads: 1, entry: FAULTY });
    await pool.loadModel(MODEL, TINY);
    const order: string[] = [];
    const note = (name: string) => () => void order.push(name);
    const group = Array.from({ length: 2_000 }, (_, i) => ({
      input: single(i === 0 ? 'hold' : 'the cat'),
      overflow: 'truncate' as const,
    }));
    const all = pool.tokenizeAll(MODEL, group).then(note('group'));
    await gate.begun;
    const one = pool.tokenize(MODEL, single('cat'), 'truncate').then(note('row'));
    await new Promise((resolve) => setImmediate(resolve));
    gate.open();
    await Promise.all([all, one]);
    assert.deepEqual(order, ['row', 'group']);
  });

  test('fail together when the pool stops, and lose only the row that kills a thread', async () => {
    const pool = createPool({ threads: 1, entry: FAULTY });
    await pool.loadModel(MODEL, TINY);
    const texts = ['the cat', 'crash', 'a dog'];
    const rows = texts.map((text) => ({ input: single(text), overflow: 'truncate' as const }));
    const codes = (await pool.tokenizeAll(MODEL, rows)).map((row) =>
      row instanceof AppError ? row.code : null,
    );
    assert.deepEqual(codes, [null, 'tokenizer_failed', null]);
    const rejected = rejectsWith(pool.tokenizeAll(MODEL, rows), 'not_ready');
    await pool.stop();
    await rejected;
    await rejectsWith(pool.tokenizeAll(MODEL, rows), 'not_ready');
    await rejectsWith(pool.tokenizeAll('unknown@1', rows), 'not_ready');
  });
});

describe('a tokenizer thread that dies', () => {
  for (const fault of ['crash', 'throw', 'exhaust']) {
    test(`of ${fault} takes only its row with it, and is replaced`, async () => {
      const pool = createPool({ threads: 2, entry: FAULTY, maxHeapMb: 24 });
      await pool.loadModel(MODEL, TINY);
      const texts = Array.from({ length: 200 }, (_, i) => (i === 77 ? fault : `cat ${i}`));
      const rows = await Promise.allSettled(
        texts.map((text) => pool.tokenize(MODEL, single(text), 'truncate')),
      );
      const failed = rows.flatMap((row, i) => (row.status === 'rejected' ? [[i, row.reason]] : []));
      assert.deepEqual(
        failed.map(([i]) => i),
        [77],
      );
      const error = failed[0]?.[1];
      assert.ok(error instanceof AppError);
      assert.equal(error.code, 'tokenizer_failed');
      assert.ok(error.cause instanceof Error);
      assert.doesNotMatch(error.cause.message, /a text of the user/);
      await pool.tokenize(MODEL, single('cat'), 'truncate');
      assert.equal(pool.threads, 2);
    });
  }

  test('is replaced by one that knows every model', async () => {
    const pool = createPool({ threads: 1, entry: FAULTY });
    await pool.loadModel(MODEL, TINY);
    await pool.loadModel('other@1', OTHER);
    await rejectsWith(pool.tokenize(MODEL, single('crash'), 'truncate'), 'tokenizer_failed');
    await pool.tokenize('other@1', single('cat'), 'truncate');
    await pool.tokenize(MODEL, single('cat'), 'truncate');
  });

  test('and cannot be replaced makes the pool refuse rows as internal', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'headrace-tokenizer-'));
    const path = join(folder, 'tokenizer.json');
    await copyFile(TINY.path, path);
    const pool = createPool({ threads: 1, entry: FAULTY });
    await pool.loadModel(MODEL, { ...TINY, path });
    await rm(folder, { recursive: true });
    await rejectsWith(pool.tokenize(MODEL, single('crash'), 'truncate'), 'internal');
    await rejectsWith(pool.tokenize(MODEL, single('cat'), 'truncate'), 'internal');
    assert.equal(pool.threads, 0);
  });

  test('at its start makes the pool fail, with nothing left running', async () => {
    const pool = createPool({ threads: 2, entry: new URL('./no-such-entry.ts', import.meta.url) });
    await assert.rejects(pool.start(), /the tokenizer thread ended \(Cannot find module/);
    assert.equal(pool.threads, 0);
  });
});

describe('stop', () => {
  test('rejects what has no answer yet as not_ready, and what comes later', async () => {
    const pool = createPool({ threads: 1 });
    await pool.loadModel(MODEL, TINY);
    const rows = Array.from({ length: 500 }, () => pool.tokenize(MODEL, single('cat'), 'truncate'));
    const settled = Promise.allSettled(rows);
    const stopped = pool.stop();
    assert.equal(pool.stop(), stopped);
    await stopped;
    for (const row of await settled) {
      assert.ok(row.status === 'rejected' && row.reason instanceof AppError);
      assert.equal(row.reason.code, 'not_ready');
    }
    await rejectsWith(pool.tokenize(MODEL, single('cat'), 'truncate'), 'not_ready');
    await rejectsWith(pool.loadModel('other@1', OTHER), 'not_ready');
    assert.equal(pool.threads, 0);
  });

  test('rejects rows that a thread has in hand', async () => {
    const gate = createGate();
    const pool = createPool({ threads: 1, entry: FAULTY });
    await pool.loadModel(MODEL, TINY);
    const held = pool.tokenize(MODEL, single('hold'), 'truncate');
    const rejected = rejectsWith(held, 'not_ready');
    await gate.begun;
    await pool.stop();
    await rejected;
  });

  test('before start leaves nothing to start', async () => {
    const pool = createPool({ threads: 1 });
    await pool.stop();
    await rejectsWith(pool.start(), 'not_ready');
    assert.equal(pool.threads, 0);
  });
});

/** These tests are about the threads: nothing is short enough to do without them. */
function createPool(options: TokenizerPoolOptions): TokenizerPool {
  const pool = new TokenizerPool({ inlineCharacters: 0, ...options });
  pools.push(pool);
  return pool;
}

/** Where a row that begins with `hold` waits in its thread; for threads that start after this. */
function createGate(): { begun: Promise<unknown>; open: () => void } {
  const gate = new Int32Array(new SharedArrayBuffer(8));
  setEnvironmentData('gate', gate);
  return {
    begun: Promise.resolve(Atomics.waitAsync(gate, 0, 0).value),
    open: () => {
      Atomics.store(gate, 1, 1);
      Atomics.notify(gate, 1);
    },
  };
}

function specOf(model: string, options: { wantsTypeIds: boolean; maxTokens: number }) {
  const url = new URL(`../fixtures/models/${model}/1/tokenizer.json`, import.meta.url);
  return { ...options, path: fileURLToPath(url) };
}

function inlineOf(spec: { path: string; wantsTypeIds: boolean; maxTokens: number }) {
  const tokenizer = createTokenizer(readFileSync(spec.path, 'utf8'), spec);
  return (row: { text: string; text_pair: string | null }, overflow: Overflow) =>
    tokenizer.encode(row, spec.maxTokens, overflow);
}

function single(text: string) {
  return { text, text_pair: null };
}

function rejectsWith(promise: Promise<unknown>, code: string): Promise<void> {
  return assert.rejects(promise, (error) => error instanceof AppError && error.code === code);
}
