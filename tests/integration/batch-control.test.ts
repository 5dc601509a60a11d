import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { planBlobKey } from '@headrace/shared/bulk/batch-blobs.ts';
import { encodePlan } from '@headrace/shared/bulk/chunk-plan.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import {
  bulkQueueName,
  createKeyspace,
  type Keyspace,
  PLAN_QUEUE,
} from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { type BatchClient, createBatchClient, jobLines } from '../helpers/batch-client.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { startDispatcher, startWorker } from '../helpers/processes.ts';

const REQUESTS = { endpoint: '/v1/jobs' };
const ROWS = 1_000;
const MODEL = 'tiny-classifier@1';

let system: BulkSystem;
let batches: BatchClient;
let redis: Redis;
let keys: Keyspace;
let chunks: Queue;
let plans: Queue;
before(async () => {
  // One chunk in Redis at a time, so that there is a batch to steer before it is done.
  system = await startBulkSystem({ HEADRACE_CHUNK_ROWS: '20', HEADRACE_CHUNK_WINDOW: '1' });
  batches = createBatchClient(system);
  const { REDIS_URL: url = '', HEADRACE_PREFIX: prefix = '' } = system.env;
  const log = createLogger({ service: 'test', level: 'silent' });
  redis = connectRedis({ url, role: 'worker', name: 'test', log });
  keys = createKeyspace(prefix);
  chunks = new Queue(bulkQueueName(MODEL), { connection: redis, prefix });
  plans = new Queue(PLAN_QUEUE, { connection: redis, prefix });
});
after(async () => {
  await chunks.close();
  await plans.close();
  redis.disconnect();
  await system.stop();
});

/** Rows that the engines of the worker have run. */
async function rowsRun(): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${system.worker.ready.port}/metrics`);
  const [, rows] =
    /^headrace_rows_total\{model="tiny-classifier@1"\} (\d+)$/m.exec(await answer.text()) ?? [];
  return Number(rows ?? 0);
}

/** A batch that has some rows, and begins no more. */
async function pausedHalfWay(): Promise<string> {
  const { id } = await batches.create(jobLines(ROWS), REQUESTS);
  await batches.until(id, ({ progress }) => progress.rows_done > 0);
  await batches.post(`/${id}/pause`);
  // What was begun is finished, what was handed out is taken back.
  while ((await chunks.getJobCountByTypes('prioritized', 'active', 'delayed', 'wait')) > 0) {
    await batches.get(id);
  }
  return id;
}

async function expireNow(id: string): Promise<void> {
  const definition = JSON.parse((await redis.hget(keys.batch(id), 'definition')) ?? '');
  const expired = JSON.stringify({ ...definition, expires_ms: Date.now() - 1 });
  await redis.hset(keys.batch(id), 'definition', expired);
}

describe('a batch', () => {
  test('that expires keeps its finished rows and says which are left', async () => {
    const id = await pausedHalfWay();
    await expireNow(id);
    const batch = await batches.finished(id);
    assert.equal(batch.status, 'expired');
    const { in_progress_at, finalizing_at, expired_at, completed_at, failed_at } = batch;
    for (const time of [in_progress_at, finalizing_at, expired_at]) assert.ok(time);
    assert.deepEqual(
      [completed_at, failed_at, batch.cancelled_at, batch.errors],
      Array(4).fill(null),
    );
    const done = await batches.linesOf(batch.output_file_id);
    const left = await batches.linesOf(batch.error_file_id);
    assert.ok(done.length > 0 && left.length > 0);
    assert.deepEqual(batch.request_counts, { total: ROWS, completed: done.length, failed: 0 });
    assert.deepEqual(
      [...done, ...left].map(({ custom_id }) => custom_id),
      Array.from({ length: ROWS }, (_, i) => `row-${i}`),
    );
    for (const { response, error } of left) {
      assert.equal(response, null);
      assert.match(JSON.stringify(error), /^\{"code":"batch_expired","message":"[^"]+"\}$/);
    }
    const again = await batches.post(`/${id}/retry`);
    await batches.post(`/${again.id}/cancel`);
    assert.equal((await batches.finished(again.id)).retry_of, id);
  });

  test('that expires before it is planned has no rows, and ends all the same', async () => {
    await system.dispatcher.stop();
    const { id } = await batches.create(jobLines(10), REQUESTS);
    await expireNow(id);
    system.dispatcher = await startDispatcher({ env: system.env });
    const batch = await batches.finished(id);
    assert.deepEqual([batch.status, batch.request_counts.total], ['expired', 0]);
    assert.deepEqual([batch.output_file_id, batch.error_file_id], [null, null]);
  });

  test('that is cancelled as its plan is written keeps nothing of it; a retry runs all rows', async () => {
    await system.dispatcher.stop();
    const rows = `text\n${'a\nb\n'.repeat(20)}`;
    const request = { model: MODEL, documents: { format: 'csv' } };
    const { id } = await batches.create(rows, request);
    const { HEADRACE_BLOBS: blobs = '' } = system.env;
    const plan = join(blobs, planBlobKey(id));
    mkdirSync(dirname(plan), { recursive: true });
    writeFileSync(plan, encodePlan([{ startByte: 0, endByte: 30, firstLine: 2, rows: 2 }], []));
    await batches.post(`/${id}/cancel`);
    system.dispatcher = await startDispatcher({ env: system.env });
    const batch = await batches.finished(id);
    assert.deepEqual(
      [batch.status, batch.output_file_id, batch.error_file_id],
      ['cancelled', null, null],
    );
    const again = await batches.finished((await batches.post(`/${id}/retry`)).id);
    assert.deepEqual([again.status, again.retry_of], ['completed', id]);
    assert.deepEqual(again.request_counts, { total: 40, completed: 40, failed: 0 });
  });

  test('that is cancelled while it is planned is read no further', async () => {
    const rows = 5_000_000;
    const request = { model: MODEL, documents: { format: 'text' } };
    const { id } = await batches.create(Buffer.alloc(2 * rows, 'a\n'), request);
    await batches.until(id, ({ request_counts }) => request_counts.total > 0);
    await batches.post(`/${id}/cancel`);
    const { status, request_counts } = await batches.finished(id);
    assert.equal(status, 'cancelled');
    while ((await plans.getActiveCount()) > 0) await batches.get(id);
    const { total } = (await batches.get(id)).request_counts;
    assert.ok(total >= request_counts.total && total < rows, `${total}`);
  });

  test('whose input has ended ten dispatchers is given up, and says so', async () => {
    await system.dispatcher.stop();
    const { id } = await batches.create(jobLines(10), REQUESTS);
    await plans.add(PLAN_QUEUE, { batch: id }, { jobId: id });
    await redis.hset(keys.bull(PLAN_QUEUE, id), 'stc', 10);
    system.dispatcher = await startDispatcher({ env: system.env });
    const batch = await batches.finished(id);
    assert.deepEqual([batch.status, batch.errors?.data[0]?.code], ['failed', 'input_unreadable']);
  });

  test('that is paused runs nothing, and comes to the same bytes once it goes on', async () => {
    const undisturbed = batches.create(jobLines(60), REQUESTS);
    const id = await pausedHalfWay();
    await batches.finished((await undisturbed).id);
    const before = { run: await rowsRun(), done: (await batches.get(id)).progress.rows_done };
    const other = await batches.run(jobLines(200), REQUESTS);
    assert.equal(other.status, 'completed');
    assert.equal((await rowsRun()) - before.run, 200);
    assert.equal((await batches.get(id)).progress.rows_done, before.done);
    await batches.post(`/${id}/resume`);
    const batch = await batches.finished(id);
    assert.deepEqual(batch.request_counts, { total: ROWS, completed: ROWS, failed: 0 });
    const lines = (await batches.bytesOf(batch.output_file_id)).toString().split('\n');
    const same = (await batches.bytesOf(other.output_file_id)).toString().split('\n');
    assert.deepEqual(lines.slice(0, 200), same.slice(0, 200));
  });

  test('of a higher priority has its chunks before all others', async () => {
    await system.worker.stop();
    const ids: string[] = [];
    for (const priority of ['low', 'normal', 'high']) {
      const batch = await batches.create(jobLines(20), { ...REQUESTS, priority });
      await batches.until(batch.id, ({ status }) => status === 'in_progress');
      ids.push(batch.id);
    }
    while ((await chunks.getPrioritizedCount()) < 3) await batches.get(ids[0] ?? '');
    const jobs = await chunks.getPrioritized(0, -1);
    assert.deepEqual(
      jobs.map(({ data }) => data.batch),
      [...ids].reverse(),
    );
    system.worker = await startWorker({ env: system.env });
    for (const id of ids) assert.equal((await batches.finished(id)).status, 'completed');
  });

  test('that is a dry run costs no run', async () => {
    const before = await rowsRun();
    const batch = await batches.run(jobLines(90), { ...REQUESTS, dry_run: true });
    assert.deepEqual([batch.status, batch.estimate?.rows], ['completed', 90]);
    assert.equal(await rowsRun(), before);
  });
});
