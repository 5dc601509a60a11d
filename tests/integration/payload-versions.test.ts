import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openBlobStore } from '@headrace/shared/blobs/index.ts';
import { type Batch, BatchSchema } from '@headrace/shared/bulk/batch.ts';
import { planBlobKey } from '@headrace/shared/bulk/batch-blobs.ts';
import { createEnqueue, type Enqueue } from '@headrace/shared/enqueue.ts';
import { fileBlobKey } from '@headrace/shared/files.ts';
import { deliveryIds, newBatchId, newFileId, newJobId } from '@headrace/shared/ids.ts';
import type { Job } from '@headrace/shared/jobs.ts';
import { bulkQueueName, type JobPayload, WEBHOOKS_QUEUE } from '@headrace/shared/queues.ts';
import { type Job as BullJob, Queue, QueueEvents } from 'bullmq';
import { MODEL, QUEUE, startTestApi, type TestApi, TINY_MODELS } from '../helpers/api.ts';
import { formerBatch, formerJob } from '../helpers/payloads.ts';
import { type ServiceProcess, startDispatcher, startWorker } from '../helpers/processes.ts';
import { type Receiver, startReceiver } from '../helpers/receiver.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

const BULK_QUEUE = bulkQueueName(MODEL);

let redis: TestRedis;
let receiver: Receiver;
let api: TestApi;
let enqueue: Enqueue;
let env: Record<string, string>;
let others: ServiceProcess[];
const opened: { close(): Promise<void> }[] = [];
before(async () => {
  [redis, receiver] = await Promise.all([startRedis(), startReceiver()]);
  const callbacks = {
    HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
    HEADRACE_WEBHOOK_PORTS: String(receiver.port),
  };
  api = await startTestApi(redis.url, callbacks);
  enqueue = createEnqueue(api.redis, api.keys);
  env = {
    REDIS_URL: redis.url,
    HEADRACE_PREFIX: api.keys.prefix,
    HEADRACE_BLOBS: api.folder,
    HEADRACE_MODELS_DIR: TINY_MODELS,
    HEADRACE_MODELS: 'tiny-classifier,tiny-embedder',
    HEADRACE_ENGINES: '1',
    ...callbacks,
  };
  others = await Promise.all([startWorker({ env }), startDispatcher({ env })]);
});
after(async () => {
  for (const each of opened) await each.close();
  await Promise.all([api, ...(others ?? [])].map((part) => part?.stop()));
  await Promise.all([redis?.stop(), receiver?.stop()]);
});

/** A queue of BullMQ's, and its events from now on. */
async function open(
  name: string,
): Promise<{ queue: Queue; delayed: (id: string) => Promise<void> }> {
  const options = { connection: api.redis, prefix: api.keys.prefix };
  const queue = new Queue(name, options);
  const events = new QueueEvents(name, options);
  opened.push(events, queue);
  await events.waitUntilReady();
  const seen = new Set<string>();
  let changed = Promise.withResolvers<void>();
  events.on('delayed', ({ jobId }) => {
    seen.add(jobId);
    changed.resolve();
    changed = Promise.withResolvers();
  });
  return {
    queue,
    /** Resolves when a worker has put the job off. */
    async delayed(id) {
      while (!seen.has(id)) await changed.promise;
    },
  };
}

async function enqueued(payload: JobPayload): Promise<string> {
  const id = newJobId(Date.now());
  const queue = `infer.${payload.model}`;
  assert.equal((await enqueue({ id, queue, payload })).kind, 'added');
  return id;
}

/** What a newer API might write: an older worker must not take its rows for what they are not. */
function newerJob(more: object = {}): JobPayload {
  const payload = { ...formerJob('64de15e'), rows: [{ image: 'abc' }], later: true, ...more };
  return JSON.parse(JSON.stringify({ ...payload, v: 2 }));
}

/** What a job of today with the same rows is answered. */
async function answerOfToday({ model, rows, parameters }: JobPayload): Promise<Job['output']> {
  const { id } = await api.submit({ model, input: rows, parameters });
  return (await api.get(id, '?wait=30')).output;
}

describe('a job of a former version', () => {
  for (const commit of ['64de15e', 'f75b494', '9990c83']) {
    test(`is answered like one of today (${commit})`, async () => {
      const payload = formerJob(commit);
      const job = await api.get(await enqueued(payload), '?wait=30');
      assert.equal(job.status, 'succeeded');
      assert.equal(job.output?.length, 2);
      assert.deepEqual(job.output, await answerOfToday(payload));
      assert.deepEqual(job.metadata, payload.metadata);
    });
  }

  test('calls back', async () => {
    const payload = formerJob('8854e1c');
    const webhook = { ttl_s: 60, events: null, ...payload.webhook, url: receiver.url('/former') };
    const id = await enqueued({ ...payload, webhook });
    const [received] = await receiver.until('/former', 1);
    assert.deepEqual([received?.of, received?.type], [id, 'job.succeeded']);
  });
});

describe('a job of a newer version', () => {
  let events: Awaited<ReturnType<typeof open>>;
  before(async () => {
    events = await open(QUEUE);
  });

  /** In the queue, and put off by the worker at least once. */
  async function putOff(payload: JobPayload): Promise<string> {
    const id = await enqueued(payload);
    await events.delayed(id);
    return id;
  }

  test('waits, is shown as it is, and goes on with a worker that can read it', async () => {
    const id = await putOff(newerJob({ metadata: { newer: 'yes' } }));
    const { status, attempts, metadata } = await api.get(id);
    assert.deepEqual([status, attempts, metadata], ['queued', 0, { newer: 'yes' }]);
    const { body } = await api.send('/v1/jobs?metadata[newer]=yes');
    assert.ok(JSON.stringify(body).includes(id), 'it is not listed');
    // As a newer worker would read it.
    await api.redis.hset(api.keys.bull(QUEUE, id), 'data', JSON.stringify(formerJob('64de15e')));
    const job = await api.get(id, '?wait=30');
    assert.deepEqual([job.status, job.attempts], ['succeeded', 1]);
  });

  test('waits also when only a parameter is new', async () => {
    const payload = formerJob('64de15e');
    const id = await putOff({ ...payload, parameters: { ...payload.parameters, calibrate: 1 } });
    await api.redis.hset(api.keys.bull(QUEUE, id), 'data', JSON.stringify(payload));
    assert.equal((await api.get(id, '?wait=30')).status, 'succeeded');
  });

  test('fails after it was put off often enough, names both versions, and calls back', async () => {
    const webhook = { url: receiver.url('/newer'), events: null, ttl_s: 60 };
    const id = await putOff(newerJob({ webhook }));
    await api.redis.hset(api.keys.bull(QUEUE, id), 'put_off', 64);
    const { status, error } = await api.get(id, '?wait=30');
    assert.deepEqual([status, error?.code], ['failed', 'unsupported_payload']);
    assert.match(error?.message ?? '', /version 2.*reads up to version 1/);
    const [received] = await receiver.until('/newer', 1);
    assert.deepEqual([received?.of, received?.type], [id, 'job.failed']);
    const again = await api.send(`/v1/jobs/${id}/retry`, { method: 'POST' });
    assert.equal(again.status, 400);
    assert.match(JSON.stringify(again.body), /newer version/);
  });

  test('can be canceled and deleted', async () => {
    const id = await putOff(newerJob());
    const canceled = await api.send(`/v1/jobs/${id}/cancel`, { method: 'POST' });
    assert.equal(canceled.status, 200);
    assert.equal((await api.send(`/v1/jobs/${id}`, { method: 'DELETE' })).status, 204);
    assert.equal(await api.redis.exists(api.keys.bull(QUEUE, id)), 0);
  });
});

describe('a batch', () => {
  let events: Awaited<ReturnType<typeof open>>;
  before(async () => {
    events = await open(BULK_QUEUE);
  });

  /** As a former version has handed it out, but for what is changed. */
  async function handOut(changed: { definition?: object; chunk?: object } = {}): Promise<string> {
    const { input, definition, state, plan, chunk } = formerBatch('b15fbd7');
    const nowMs = Date.now();
    const [id, file] = [newBatchId(nowMs), newFileId(nowMs)];
    const blobs = await openBlobStore(api.folder);
    await blobs.put(fileBlobKey(file), bytesOf(input));
    await blobs.put(planBlobKey(id), bytesOf(JSON.stringify(plan)));
    const times = { created_ms: nowMs, expires_ms: nowMs + 3_600_000 };
    const own = { ...definition, id, input_file_id: file, ...times, ...changed.definition };
    const { batch, batches, liveBatches } = api.keys;
    const data = { ...chunk, batch: id, ...changed.chunk };
    const stored = { ...state, in_progress_ms: nowMs, definition: JSON.stringify(own) };
    // In this order: a chunk is dropped when its batch is not there, and a live batch without
    // chunks is handed out anew.
    await api.redis.multi().hset(batch(id), stored).zadd(batches('default'), 0, id).exec();
    await events.queue.add('chunk', data, { jobId: `${id}-0`, priority: 1 });
    await api.redis.zadd(liveBatches, times.expires_ms, id);
    return id;
  }

  /** Waits until it is as it should be. */
  async function until(id: string, fits: (batch: Batch) => boolean): Promise<Batch> {
    for (const deadline = Date.now() + 20_000; ; await sleep(10)) {
      const { status, body } = await api.send(`/v1/batches/${id}`);
      assert.equal(status, 200, JSON.stringify(body));
      const batch = BatchSchema.parse(body);
      if (fits(batch)) return batch;
      assert.ok(Date.now() < deadline, JSON.stringify(batch));
    }
  }

  async function expectResults({ output_file_id }: Batch): Promise<void> {
    const { body } = await api.send(`/v1/files/${output_file_id}/content`);
    const lines = String(body).trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).custom_id),
      ['row-0', 'row-1', 'row-2'],
    );
  }

  test('of a former version is scored and assembled', async () => {
    const id = await handOut();
    await expectResults(await until(id, ({ status }) => status === 'completed'));
  });

  test('with a newer chunk waits, says so, and goes on with a worker that reads it', async () => {
    const id = await handOut({ chunk: { v: 2, rows: 'other' } });
    await events.delayed(`${id}-0`);
    const { status, waiting_for } = await until(id, (batch) => batch.waiting_for !== null);
    assert.equal(status, 'in_progress');
    assert.match(waiting_for ?? '', /chunk has version 2, this worker reads up to version 1/);
    const chunk = await events.queue.getJob(`${id}-0`);
    await chunk?.updateData({ ...formerBatch('b15fbd7').chunk, batch: id });
    await promoted(chunk);
    const batch = await until(id, (each) => each.status === 'completed');
    assert.equal(batch.waiting_for, null);
    await expectResults(batch);
  });

  test('of a newer version is left alone, and says so', async () => {
    const id = await handOut({ definition: { v: 2, endpoint: '/v1/other', scoring: 'new' } });
    const { status, waiting_for } = await until(id, (batch) => batch.waiting_for !== null);
    assert.equal(status, 'in_progress');
    assert.match(waiting_for ?? '', /batch has version 2, this (worker|dispatcher) reads up to/);
    const { body } = await api.send('/v1/batches');
    assert.ok(JSON.stringify(body).includes(id), 'it is not listed');
  });
});

describe('while a part is down', () => {
  test('a newer delivery waits for a dispatcher that can read it', async () => {
    const { queue, delayed } = await open(WEBHOOKS_QUEUE);
    await others[1]?.stop();
    const job = await api.submit({ input: 'good', webhook: { url: receiver.url('/delivery') } });
    await api.get(job.id, '?wait=30');
    const { delivery } = deliveryIds(job.id);
    await api.redis.hset(api.keys.bull(WEBHOOKS_QUEUE, delivery), {
      data: JSON.stringify({ v: 2, delivery, rounds: [0] }),
    });
    others.push(await startDispatcher({ env }));
    await delayed(delivery);
    assert.deepEqual(receiver.at('/delivery'), []);
    const stored = await queue.getJob(delivery);
    await stored?.updateData({ delivery, round: 0 });
    await promoted(stored);
    const [received] = await receiver.until('/delivery', 1);
    assert.equal(received?.of, job.id);
  });

  test('a newer job expires though no worker takes it, and its text goes with it', async () => {
    const { delayed } = await open(QUEUE);
    const id = await enqueued(newerJob({ priority: 'urgent' }));
    await delayed(id);
    await others[0]?.stop();
    const data = JSON.stringify(newerJob({ ttl_s: 0 }));
    await api.redis.hset(api.keys.bull(QUEUE, id), 'data', data);
    await api.expire(id);
    assert.equal((await api.get(id)).status, 'expired');
  });
});

/** Ends the delay of a job, which may just have ended by itself. */
async function promoted(job: BullJob | undefined): Promise<void> {
  if (await job?.isDelayed()) await job?.promote().catch(() => undefined);
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
