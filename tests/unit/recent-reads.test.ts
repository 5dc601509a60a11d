import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RecentReads } from '../../apps/api/src/recent-reads.ts';

/** A store whose reads are counted and may fail, and a clock. */
function createReads({ maxEntries = 10 } = {}) {
  const state = { atMs: 0, reads: [] as string[], failure: null as Error | null };
  const stored = new Map<string, string>();
  const recent = new RecentReads<string>({
    ...{ maxAgeMs: 9_000, maxEntries, now: () => state.atMs },
    async read(id) {
      state.reads.push(id);
      if (state.failure) throw state.failure;
      return stored.get(id) ?? null;
    },
  });
  return { ...{ state, stored, recent }, settled: () => new Promise((done) => setImmediate(done)) };
}

describe('recent reads', () => {
  test('are given without asking until they are too old', async () => {
    const { state, stored, recent } = createReads();
    stored.set('a', 'one');
    assert.equal(await recent.get('a'), 'one');
    state.atMs = 4_499;
    assert.equal(recent.get('a'), 'one');
    assert.deepEqual(state.reads, ['a']);
    stored.set('a', 'two');
    state.atMs = 20_000;
    assert.equal(await recent.get('a'), 'two');
  });

  test('are made anew at half their age, behind the back of those who ask', async () => {
    const { state, stored, recent, settled } = createReads();
    stored.set('a', 'one');
    await recent.get('a');
    stored.delete('a');
    state.atMs = 4_500;
    assert.equal(recent.get('a'), 'one');
    await settled();
    assert.equal(recent.get('a'), null);
    assert.equal(state.reads.length, 2);
  });

  test('outlive a store that is away only until they are too old', async () => {
    const { state, stored, recent, settled } = createReads();
    stored.set('a', 'one');
    await recent.get('a');
    state.failure = new Error('away');
    state.atMs = 8_999;
    assert.equal(recent.get('a'), 'one');
    await settled();
    state.atMs = 9_000;
    await assert.rejects(async () => recent.get('a'), /away/);
    state.failure = null;
    assert.equal(await recent.get('a'), 'one');
  });

  test('are shared by all who ask at once', async () => {
    const { state, recent } = createReads();
    await Promise.all([1, 2, 3].map(() => recent.get('a')));
    assert.deepEqual(state.reads, ['a']);
  });

  test('are not kept if they were forgotten while they were made', async () => {
    const { state, stored, recent } = createReads();
    stored.set('a', 'one');
    const old = recent.get('a');
    recent.forget('a');
    stored.set('a', 'two');
    assert.equal(await recent.get('a'), 'two');
    await old;
    assert.equal(recent.get('a'), 'two');
    assert.equal(state.reads.length, 2);
  });

  test('keep a bounded number, and what there is apart from what there is not', async () => {
    const { state, stored, recent } = createReads({ maxEntries: 2 });
    for (const id of ['a', 'b']) stored.set(id, id);
    for (const id of ['a', 'b']) await recent.get(id);
    for (const id of ['x', 'y', 'z']) assert.equal(await recent.get(id), null);
    const asked = state.reads.length;
    assert.equal(recent.get('a'), 'a');
    assert.equal(recent.get('z'), null);
    assert.equal(state.reads.length, asked);
    await recent.get('x');
    assert.equal(state.reads.length, asked + 1);
    stored.set('c', 'c');
    await recent.get('c');
    assert.ok(recent.get('a') instanceof Promise);
  });
});
