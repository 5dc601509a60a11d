/**
 * Our scripts do to a queue what BullMQ's own commands do, for many jobs at once: so BullMQ's locks,
 * its check for stalled jobs and its tools go on to work on what we leave behind.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createEnqueue } from '@headrace/shared/enqueue.ts';
import { newJobId } from '@headrace/shared/ids.ts';
import { JobStore } from '@headrace/shared/job-store.ts';
import { finishedRecord } from '@headrace/shared/jobs.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import {
  createKeyspace,
  INTERACTIVE,
  type JobPayload,
  type Keyspace,
  WEBHOOKS_QUEUE,
} from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import { DeliveryStore } from '@headrace/shared/webhooks/delivery-store.ts';
import { type Job, Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { TakenJob } from '../../apps/worker/src/consumers/taken-job.ts';
import { TakingWorker } from '../../apps/worker/src/consumers/taking-worker.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const QUEUE = 'infer.tiny@1';
const CREATED_MS = 5_000;

let server: TestRedis;
let redis: Redis;
const open: { close: () => Promise<unknown> }[] = [];
before(async () => {
  server = await startRedis();
  redis = connectRedis({ url: server.url, role: 'worker', name: 'test', log });
});
after(async () => {
  await Promise.all(open.map((one) => one.close()));
  redis.disconnect();
  await server.stop();
});

function payloadOf(text: string): JobPayload {
  return {
    ...{ v: 1, tenant: 'default', model: 'tiny@1', rows: [{ text, text_pair: null }] },
    ...{ parameters: {}, priority: 'normal', ttl_s: 60, timeout_s: 30, metadata: {} },
    ...{ created_ms: CREATED_MS, tokens: 3, retry_of: null },
  };
}

/** A queue of BullMQ under a prefix of its own. */
function setUp(name = QUEUE) {
  const keys = createKeyspace(testPrefix());
  const { prefix } = keys;
  const events = { maxLen: INTERACTIVE.maxEvents };
  const queue = new Queue(name, { connection: redis, prefix, streams: { events } });
  open.push(queue);
  return { keys, queue, enqueue: createEnqueue(redis, keys), store: new JobStore(redis, keys) };
}

async function addAsBullMQ(queue: Queue, id: string, payload: JobPayload): Promise<void> {
  const { attempts, backoffMs: backoff } = INTERACTIVE;
  const options = { jobId: id, timestamp: CREATED_MS, priority: 1, attempts, backoff };
  await queue.add('infer', payload, options);
}

function openBullMQWorker(keys: Keyspace): Worker {
  const worker = new Worker(QUEUE, null, {
    ...{ connection: redis, prefix: keys.prefix, autorun: false },
    removeOnComplete: { count: 0 },
  });
  open.push(worker);
  return worker;
}

/** A worker of ours; `next` gives what it takes, and it holds a job until it is `done`. */
function openOurWorker(keys: Keyspace, concurrency = 64) {
  const held: { job: TakenJob; done: () => void }[] = [];
  const ended = Promise.withResolvers<void>();
  let arrived = Promise.withResolvers<void>();
  const worker = new TakingWorker({
    ...{ queue: QUEUE, keys, redis },
    process(job) {
      const { promise, resolve } = Promise.withResolvers<void>();
      held.push({ job, done: resolve });
      arrived.resolve();
      return Promise.race([promise, ended.promise]);
    },
    bullmq: { connection: redis, prefix: keys.prefix, concurrency, lockDuration: 30_000 },
  });
  open.push({
    close() {
      ended.resolve();
      return worker.close();
    },
  });
  async function next() {
    while (held.length === 0) {
      await arrived.promise;
      arrived = Promise.withResolvers();
    }
    const first = held.shift();
    assert.ok(first);
    return first;
  }
  return { worker, next, held };
}

interface State {
  keys: Record<string, unknown>;
  events: string[][];
}

const TIMES = new Set(['processedOn']);
/** Counts ids that BullMQ would give; ours come with the job. */
const COUNTER = 'id';
/** What depends on who wrote it, and is checked where it matters. */
const OWN = new Set(['opts', 'data']);

/** All that BullMQ keeps of a queue, without what depends on the clock, and its events in order. */
async function stateOf({ prefix }: Keyspace, queue = QUEUE): Promise<State> {
  const names = (await redis.keys(`${prefix}:${queue}:*`)).sort();
  const keys: State['keys'] = {};
  let events: string[][] = [];
  for (const name of names) {
    const suffix = name.slice(`${prefix}:${queue}:`.length);
    const type = await redis.type(name);
    if (suffix === COUNTER) continue;
    if (type === 'stream') events = (await redis.xrange(name, '-', '+')).map(([, event]) => event);
    else keys[suffix] = await contentOf(name, type);
  }
  return { keys, events };
}

async function contentOf(name: string, type: string): Promise<unknown> {
  if (type === 'zset') return redis.zrange(name, '0', '-1', 'WITHSCORES');
  if (type === 'list') return redis.lrange(name, 0, -1);
  if (type === 'set') return redis.smembers(name);
  if (type === 'string') return name.endsWith(':lock') ? 'a token' : redis.get(name);
  const hash = Object.entries(await redis.hgetall(name));
  const known = hash.filter(([field]) => !OWN.has(field));
  return Object.fromEntries(known.map(([field, v]) => [field, TIMES.has(field) ? 'a time' : v]));
}

describe('a job', () => {
  const id = newJobId(CREATED_MS);

  test('is enqueued as BullMQ adds it', async () => {
    const [bullmq, ours] = [setUp(), setUp()];
    await addAsBullMQ(bullmq.queue, id, payloadOf('a'));
    await ours.enqueue({ id, queue: QUEUE, payload: payloadOf('a') });
    await Promise.all([bullmq.queue.waitUntilReady(), ours.queue.waitUntilReady()]);
    const [added, expectedState] = [await stateOf(ours.keys), await stateOf(bullmq.keys)];
    // BullMQ counts below the priority, where ours tells the place within it.
    assert.deepEqual(added.keys.prioritized, [id, String(2 ** 32)]);
    assert.deepEqual(expectedState.keys.prioritized, [id, String(2 ** 32 + 1)]);
    for (const key of ['prioritized', 'pc']) {
      delete added.keys[key];
      delete expectedState.keys[key];
    }
    assert.deepEqual(added, expectedState);
    const job: Job | undefined = await ours.queue.getJob(id);
    const expected = await bullmq.queue.getJob(id);
    assert.deepEqual(job?.data, payloadOf('a'));
    for (const option of ['attempts', 'backoff', 'priority'] as const) {
      assert.deepEqual(job?.opts[option], expected?.opts[option]);
    }
  });

  test('is taken as a worker of BullMQ takes it', async () => {
    const [bullmq, ours] = [setUp(), setUp()];
    for (const { queue } of [bullmq, ours]) await addAsBullMQ(queue, id, payloadOf('a'));
    await openBullMQWorker(bullmq.keys).getNextJob('token', { block: false });
    const { worker, next } = openOurWorker(ours.keys);
    worker.start();
    const { job } = await next();
    assert.deepEqual(JSON.parse(job.data), payloadOf('a'));
    const { score, starts, attempts, stalls } = job;
    assert.deepEqual({ score, starts, attempts, stalls }, COUNTS_AS_BULLMQ);
    assert.equal(await redis.get(`${ours.keys.bull(QUEUE, id)}:lock`), job.lockToken);
    assert.deepEqual(await withoutWorkers(ours.keys), await withoutWorkers(bullmq.keys));
  });

  test('is forgotten with its result as BullMQ forgets one that is not kept', async () => {
    const [bullmq, ours] = [setUp(), setUp()];
    for (const { queue } of [bullmq, ours]) await addAsBullMQ(queue, id, payloadOf('a'));
    const taken = await openBullMQWorker(bullmq.keys).getNextJob('token', { block: false });
    await taken?.moveToCompleted(undefined, 'token', false);
    const { worker, next } = openOurWorker(ours.keys);
    worker.start();
    const { job, done } = await next();
    assert.equal(await ours.store.finish(finishedJob(job)), true);
    done();
    await worker.stopTaking();
    const [left, expected] = [await withoutWorkers(ours.keys), await withoutWorkers(bullmq.keys)];
    // That the queue is empty for now: nobody listens, and it would be said for nearly every job.
    expected.events = expected.events.filter(([, event]) => event !== 'drained');
    assert.deepEqual(left, expected);
    assert.deepEqual(Object.keys(left.keys), ['meta']);
  });

  test('is let go without a record where another one stands', async () => {
    const { keys, enqueue, store } = setUp();
    await enqueue({ id, queue: QUEUE, payload: payloadOf('a') });
    const { worker, next } = openOurWorker(keys);
    worker.start();
    const { job, done } = await next();
    await store.forget({ id, queue: QUEUE, lockToken: job.lockToken });
    done();
    assert.equal(await store.read(id), null);
    assert.equal(await redis.exists(keys.bull(QUEUE, id), keys.bull(QUEUE, 'active')), 0);
  });

  test('stays with whoever holds it when a worker that lost its lock finishes it', async () => {
    const { keys, enqueue, store } = setUp();
    await enqueue({ id, queue: QUEUE, payload: payloadOf('a') });
    const { worker, next } = openOurWorker(keys);
    worker.start();
    const { job } = await next();
    assert.equal(await store.finish({ ...finishedJob(job), lockToken: 'of another' }), true);
    assert.deepEqual(await redis.lrange(keys.bull(QUEUE, 'active'), 0, -1), [id]);
    assert.equal(await redis.get(`${keys.bull(QUEUE, id)}:lock`), job.lockToken);
  });

  test('that is given back waits at its place, and is taken again', async () => {
    const { keys, enqueue } = setUp();
    await enqueue({ id, queue: QUEUE, payload: payloadOf('a') });
    const first = openOurWorker(keys);
    first.worker.start();
    const { job, done } = await first.next();
    await first.worker.stopTaking();
    await first.worker.giveBack(job, { begun: true });
    done();
    assert.deepEqual(await redis.zrange(keys.bull(QUEUE, 'prioritized'), '0', '-1'), [id]);
    const second = openOurWorker(keys);
    second.worker.start();
    assert.equal((await second.next()).job.starts, 2);
  });

  test('that is given back before it was begun is as it was, so that it can still expire', async () => {
    const { keys, enqueue } = setUp();
    await enqueue({ id, queue: QUEUE, payload: payloadOf('a') });
    const first = openOurWorker(keys);
    first.worker.start();
    const { job } = await first.next();
    await first.worker.stopTaking();
    await first.worker.giveBack(job, { begun: false });
    assert.equal(await redis.hget(keys.bull(QUEUE, id), 'processedOn'), null);
    const second = openOurWorker(keys);
    second.worker.start();
    assert.equal((await second.next()).job.starts, 1);
  });

  test('that is given back goes before jobs of its priority that come after it', async () => {
    const { keys, enqueue } = setUp();
    const ids = Array.from({ length: 3 }, () => newJobId(CREATED_MS));
    for (const id of ids) await enqueue({ id, queue: QUEUE, payload: payloadOf('a') });
    const { worker, next, held } = openOurWorker(keys, 2);
    worker.start();
    const first = await next();
    const second = held.shift() ?? (await next());
    await worker.stopTaking();
    await worker.giveBack(second.job, { begun: false });
    await worker.giveBack(first.job, { begun: false });
    assert.deepEqual(await redis.zrange(keys.bull(QUEUE, 'prioritized'), '0', '-1'), ids);
  });

  test('that failed is tried again after its back-off, by BullMQ', async () => {
    const { keys, enqueue, queue } = setUp();
    await enqueue({ id, queue: QUEUE, payload: payloadOf('a') });
    const { worker, next } = openOurWorker(keys);
    worker.start();
    const first = await next();
    await worker.tryLater(first.job, new Error('broke'));
    first.done();
    assert.equal(await queue.getDelayedCount(), 1);
    const { job } = await next();
    const { score, starts, attempts, stalls } = job;
    assert.deepEqual({ starts, attempts, stalls }, { starts: 2, attempts: 1, stalls: 0 });
    assert.equal(Math.floor(score / 2 ** 32), 1);
  });
});

describe('a delivery', () => {
  test('is queued as BullMQ adds a job, at once and when it is sent again', async () => {
    const [bullmq, ours] = [setUp(WEBHOOKS_QUEUE), setUp(WEBHOOKS_QUEUE)];
    const deliveries = new DeliveryStore(redis, ours.keys);
    const event = { tenant: 'default', url: 'https://example.com/', nowMs: CREATED_MS };
    const delivery = await deliveries.addTest({ ...event, ttlS: 60 });
    const options = { timestamp: CREATED_MS, attempts: 1_000_000, backoff: DELIVERY_BACKOFF };
    const add = (jobId: string, round: number) =>
      bullmq.queue.add('deliver', { delivery, round }, { ...options, jobId });
    await add(delivery, 0);
    await Promise.all([bullmq.queue.waitUntilReady(), ours.queue.waitUntilReady()]);
    const states = () =>
      Promise.all([ours, bullmq].map(({ keys }) => stateOf(keys, WEBHOOKS_QUEUE)));
    const [left, expected] = await states();
    assert.deepEqual(left, expected);
    const job: Job | undefined = await ours.queue.getJob(delivery);
    assert.deepEqual(job?.data, { delivery, round: 0 });
    assert.deepEqual([job?.opts.attempts, job?.opts.backoff], [1_000_000, DELIVERY_BACKOFF]);

    await ours.queue.obliterate();
    assert.equal(await deliveries.redeliver('default', delivery, CREATED_MS), null);
    const again: Job | undefined = await ours.queue.getJob(`${delivery}-1`);
    assert.deepEqual(again?.data, { delivery, round: 1 });
  });
});

describe('a worker', () => {
  test('takes what has the lowest priority first, and not more than it may hold', async () => {
    const { keys, enqueue } = setUp();
    const ids = Array.from({ length: 6 }, () => newJobId(CREATED_MS));
    for (const id of ids) await enqueue({ id, queue: QUEUE, payload: payloadOf('a') });
    const { worker, next, held } = openOurWorker(keys, 2);
    worker.start();
    const first = await next();
    const second = await next();
    assert.deepEqual([first.job.id, second.job.id], ids.slice(0, 2));
    assert.equal(held.length, 0);
    assert.equal(await redis.zcard(keys.bull(QUEUE, 'prioritized')), 4);
    worker.makeRoom(second.job);
    assert.equal((await next()).job.id, ids[2]);
  });

  test('leaves jobs to others: large payloads come a few at a time', async () => {
    const { keys, enqueue } = setUp();
    const large = payloadOf('a'.repeat(200_000));
    for (let i = 0; i < 4; i++) {
      await enqueue({ id: newJobId(CREATED_MS), queue: QUEUE, payload: large });
    }
    const { worker, next, held } = openOurWorker(keys);
    worker.start();
    await next();
    assert.equal(held.length, 1);
  });

  test('takes nothing from a queue that is paused, until it is resumed', async () => {
    const { keys, enqueue, queue } = setUp();
    await queue.pause();
    await enqueue({ id: newJobId(CREATED_MS), queue: QUEUE, payload: payloadOf('a') });
    const { worker, next, held } = openOurWorker(keys);
    worker.start();
    // BullMQ's own command was asked for a job, and gave none.
    await new Promise<void>((resolve) => worker.once('drained', resolve));
    assert.equal(held.length, 0);
    await queue.resume();
    await next();
  });

  test('closes only when no job is held any more', async () => {
    const { keys, enqueue } = setUp();
    await enqueue({ id: newJobId(CREATED_MS), queue: QUEUE, payload: payloadOf('a') });
    const { worker, next } = openOurWorker(keys);
    worker.start();
    const { done } = await next();
    let closed = false;
    const closing = worker.close().then(() => {
      closed = true;
    });
    await worker.stopTaking();
    assert.equal(closed, false);
    done();
    await closing;
  });
});

const COUNTS_AS_BULLMQ = { score: 2 ** 32 + 1, starts: 1, attempts: 0, stalls: 0 };
const DELIVERY_BACKOFF = { type: 'fixed', delay: 2_000 };

/**
 * The marker wakes workers, and is there or not by who has looked. Our worker also looks for stalled
 * jobs, and resets the counter of priorities as soon as the queue is empty, not when it asks again.
 */
async function withoutWorkers(keys: Keyspace): Promise<State> {
  const state = await stateOf(keys);
  for (const key of ['marker', 'pc', 'stalled', 'stalled-check']) delete state.keys[key];
  return state;
}

function finishedJob({ id, lockToken }: TakenJob) {
  const record = finishedRecord(id, payloadOf('a'), {
    ...{ status: 'succeeded', task: 'text-classification', nowMs: 2_000 },
    ...{ resultTtlMs: 60_000, attempts: 1, startedMs: 1_500 },
  });
  const job = { id, queue: QUEUE, record, ttlMs: 60_000, lockToken };
  return { ...job, rows: 1, tokens: 3, startTime: null };
}
