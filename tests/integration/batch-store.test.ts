import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BatchDefinitionSchema, type BatchStatus, batchView } from '@headrace/shared/bulk/batch.ts';
import { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { newBatchId, newFileId } from '@headrace/shared/ids.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

let server: TestRedis;
const connections: Redis[] = [];
let stores: BatchStore[];
before(async () => {
  server = await startRedis();
  const keys = createKeyspace(testPrefix());
  const log = createLogger({ service: 'test', level: 'silent' });
  for (let i = 0; i < 8; i++) {
    connections.push(connectRedis({ url: server.url, role: 'worker', name: 'test', log }));
  }
  stores = connections.map((redis) => new BatchStore(redis, keys));
});
after(async () => {
  for (const redis of connections) redis.disconnect();
  await server.stop();
});

async function newBatch(): Promise<{ id: string; store: BatchStore }> {
  const [store] = stores;
  assert.ok(store);
  const id = newBatchId(Date.now());
  const definition = { v: 1, id, tenant: 'default', endpoint: '/v1/jobs', metadata: {} };
  const input = { input_file_id: newFileId(Date.now()), completion_window: '24h' };
  const times = { created_ms: Date.now(), expires_ms: Date.now() + 3_600_000 };
  await store.create(BatchDefinitionSchema.parse({ ...definition, ...input, ...times }));
  return { id, store };
}

describe('a batch in Redis', () => {
  test('comes to its end once, whoever moves it: one event for each', async () => {
    const { id, store } = await newBatch();
    const ends: BatchStatus[] = ['completed', 'failed', 'expired', 'cancelled'];
    const from: BatchStatus[] = ['validating', 'in_progress', 'finalizing', 'cancelling'];
    const moves = stores.flatMap((each) =>
      ends.map(async (to) => ((await each.move(id, { from, to })) ? [to] : [])),
    );
    const moved = (await Promise.all(moves)).flat();
    assert.equal(moved.length, 1);
    assert.equal((await store.read(id))?.state.status, moved[0]);
    for (const to of [...ends, 'in_progress' as const]) {
      assert.equal(await store.move(id, { from, to }), false);
    }
    assert.equal((await store.live()).includes(id), false);
  });

  test('is as fast as while it ran: pauses count for nothing', async () => {
    const { id, store } = await newBatch();
    const beganMs = Date.now() - 3_600_000;
    const fields = { total: 1_000, in_progress_ms: beganMs };
    await store.move(id, { from: ['validating'], to: 'in_progress', fields });
    const at = async (minutes: number) => {
      const batch = await store.read(id);
      assert.ok(batch);
      const options = { nowMs: beganMs + minutes * 60_000, tokensPerSecond: () => 0 };
      return batchView(batch, options).progress;
    };
    const finish = (index: number) => {
      const part = { output: null, errors: null };
      return store.finishChunk(id, { index, part, counts: { completed: 300 } });
    };
    assert.ok(await finish(0));
    assert.deepEqual(await at(5), { rows_done: 300, rows_per_s: 1, eta_s: 700 });
    assert.ok(await store.pause(id, true, beganMs + 5 * 60_000));
    assert.ok(await store.pause(id, true, beganMs + 6 * 60_000));
    assert.deepEqual(await at(10), { rows_done: 300, rows_per_s: null, eta_s: null });
    assert.ok(await store.pause(id, false, beganMs + 20 * 60_000));
    assert.deepEqual(await at(21), { rows_done: 300, rows_per_s: null, eta_s: null });
    assert.ok(await finish(1));
    assert.deepEqual(await at(22), { rows_done: 600, rows_per_s: 2.5, eta_s: 160 });
    const end = { finalizing_ms: beganMs + 25 * 60_000 };
    await store.move(id, { from: ['in_progress'], to: 'finalizing', fields: end });
    assert.deepEqual(await at(90), { rows_done: 600, rows_per_s: 1, eta_s: null });
    assert.equal(await store.pause(id, true, 0), false);
  });

  test('waits for something only as long as it is where it was', async () => {
    const { id, store } = await newBatch();
    await store.wait(id, 'validating', 'the file storage: full');
    assert.equal((await store.read(id))?.state.waiting_for, 'the file storage: full');
    await store.move(id, { from: ['validating'], to: 'in_progress' });
    assert.equal((await store.read(id))?.state.waiting_for, null);
    await store.wait(id, 'validating', 'the file storage: full');
    assert.equal((await store.read(id))?.state.waiting_for, null);
  });

  test('that does not exist is not made by what is said of it', async () => {
    const [store] = stores;
    const id = newBatchId(Date.now());
    await store?.wait(id, 'validating', 'the file storage: full');
    assert.equal(await store?.read(id), null);
    assert.equal(await connections[0]?.exists(`${id}`), 0);
  });
});
