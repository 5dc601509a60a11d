import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Job, JobSchema } from '@headrace/shared/jobs.ts';
import { Worker } from 'bullmq';
import { startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

let redis: TestRedis;
let api: TestApi;
before(async () => {
  redis = await startRedis();
  api = await startTestApi(redis.url, { HEADRACE_MAX_STREAMS: '2' });
});
after(async () => {
  await api.stop();
  await redis.stop();
});

interface ServerEvent {
  id: string | null;
  event: string;
  job: Job;
}

/** Follows a job; `next` gives the next event, or null at the end. */
async function follow(id: string, headers: Record<string, string> = {}) {
  const response = await api.api.app.request(`/v1/jobs/${id}/events`, { headers });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  assert.ok(response.body);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  return {
    async next(): Promise<ServerEvent | null> {
      const { done, value } = await reader.read();
      return done ? null : parseEvent(value);
    },
    close: () => reader.cancel(),
  };
}

function parseEvent(text: string): ServerEvent {
  assert.ok(text.endsWith('\n\n'));
  const lines = text.trimEnd().split('\n');
  const field = (name: string) =>
    lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? null;
  const job = JobSchema.parse(JSON.parse(field('data') ?? 'null'));
  return { id: field('id'), event: field('event') ?? 'message', job };
}

/** Holds a job in the state running until `finish`, and says so on the channel, as a worker does. */
async function runUntil(job: Job) {
  const started = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const worker = new Worker(
    `infer.${job.model}`,
    async () => {
      started.resolve();
      await finish.promise;
    },
    { connection: api.redis, prefix: api.keys.prefix },
  );
  await started.promise;
  await api.redis.publish(api.keys.startedChannel, `job_0,${job.id}`);
  return async () => {
    finish.resolve();
    await worker.close();
  };
}

/** Streams that the process holds open, seen by whether one more is refused. */
async function untilStreamsAreFree(id: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const response = await api.api.app.request(`/v1/jobs/${id}/events`);
    await response.body?.cancel();
    if (response.status === 200) return;
    assert.ok(Date.now() < deadline, 'no stream became free');
  }
}

describe('GET /v1/jobs/{id}/events', () => {
  test('tells each change with the job, then the finished job, then ends', async () => {
    const job = await api.submit({ model: 'tiny-hidden', input: 'a' });
    const events = await follow(job.id);
    const queued = await events.next();
    assert.deepEqual([queued?.event, queued?.job.status], ['status', 'queued']);
    const release = await runUntil(job);
    const running = await events.next();
    assert.deepEqual([running?.event, running?.job.status], ['status', 'running']);
    await api.finish(job);
    const finished = await events.next();
    assert.deepEqual([finished?.event, finished?.job.status], ['job', 'succeeded']);
    assert.deepEqual(finished?.job, await api.get(job.id));
    assert.equal(await events.next(), null);
    await release();
    assert.equal(new Set([queued?.id, running?.id, finished?.id]).size, 3);
  });

  test('tells a finished job at once', async () => {
    const job = await api.submit({ input: 'a' });
    await api.send(`/v1/jobs/${job.id}/cancel`, { method: 'POST' });
    const events = await follow(job.id);
    assert.equal((await events.next())?.job.status, 'canceled');
    assert.equal(await events.next(), null);
  });

  test('goes on after Last-Event-ID', async () => {
    const job = await api.submit({ input: 'a' });
    const first = await follow(job.id);
    const queued = await first.next();
    await first.close();
    const again = await follow(job.id, { 'last-event-id': queued?.id ?? '' });
    await api.finish(job);
    const finished = await again.next();
    assert.equal(finished?.event, 'job');
    assert.equal(await again.next(), null);
    const headers = { 'last-event-id': finished?.id ?? '' };
    const done = await api.send(`/v1/jobs/${job.id}/events`, { headers });
    assert.deepEqual([done.status, done.body], [204, '']);
  });

  test('tells that a job expired although no worker runs', async () => {
    const job = await api.submit({ input: 'a', ttl_s: 1 });
    const events = await follow(job.id);
    assert.equal((await events.next())?.job.status, 'queued');
    assert.equal((await events.next())?.job.status, 'expired');
    assert.equal(await events.next(), null);
  });

  test('is refused beyond the limit of streams, until one has closed', async () => {
    const job = await api.submit({ input: 'a' });
    const open = [await follow(job.id), await follow(job.id)];
    const refused = await api.send(`/v1/jobs/${job.id}/events`);
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get('retry-after'), '5');
    for (const events of open) await events.close();
    await untilStreamsAreFree(job.id);
  });

  test('lets go of its listeners when the client goes away', async () => {
    const job = await api.submit({ input: 'a' });
    const channel = api.keys.startedChannel;
    const events = await follow(job.id);
    await untilSubscribers(channel, 1);
    await events.close();
    await untilSubscribers(channel, 0);
  });

  test('answers HEAD without opening a stream', async () => {
    const job = await api.submit({ input: 'a' });
    for (let i = 0; i < 3; i++) {
      const { status } = await api.send(`/v1/jobs/${job.id}/events`, { method: 'HEAD' });
      assert.equal(status, 200);
    }
  });
});

async function untilSubscribers(channel: string, count: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const [, subscribers] = await api.redis.pubsub('NUMSUB', channel);
    if (subscribers === count) return;
    assert.ok(Date.now() < deadline, `${channel} has ${subscribers} subscribers, not ${count}`);
  }
}
