import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { JobSchema } from '@headrace/shared/jobs.ts';
import { answer, answers } from '../helpers/receiver.ts';
import { startWebhookSystem, type WebhookSystem } from '../helpers/webhooks.ts';

let system: WebhookSystem;
before(async () => {
  system = await startWebhookSystem();
});
after(() => system.stop());

const settled = ({ status }: { status: string }) => status !== 'pending';

describe('the end of a job', () => {
  test('is told once, with the job as it is answered', async () => {
    const { api, receiver, until, finishedJob } = system;
    const { job, delivery } = await finishedJob('/once');
    const [received] = await receiver.until('/once', 1);
    const found = await until(delivery, settled);
    assert.equal(found.status, 'delivered');
    assert.equal(found.attempts.length, 1);
    assert.equal(found.webhook_id, received?.id);
    const event = JSON.parse(received?.body ?? '');
    assert.deepEqual(Object.keys(event), ['type', 'timestamp', 'data']);
    assert.equal(event.type, 'job.succeeded');
    assert.equal(new Date(event.timestamp).toISOString(), event.timestamp);
    assert.deepEqual(JobSchema.parse(event.data), await api.get(job));
    assert.equal(received?.headers['content-type'], 'application/json');
  });

  test('is told of jobs that failed, were canceled or expired', async () => {
    const { api, receiver, finishedJob } = system;
    await finishedJob('/ends', { status: 'failed' });
    const webhook = { url: receiver.url('/ends') };
    const canceled = await api.submit({ input: 'a', webhook });
    await api.send(`/v1/jobs/${canceled.id}/cancel`, { method: 'POST' });
    const late = await api.submit({ input: 'a', webhook });
    await api.finish(late, { status: 'expired' });
    const received = await receiver.until('/ends', 3);
    const types = received.map(({ type }) => type).sort();
    assert.deepEqual(types, ['job.canceled', 'job.expired', 'job.failed']);
  });

  test('is told only of the ends that were asked for, and only where one was', async () => {
    const { api, receiver, until, finishedJob } = system;
    const events = ['job.failed'];
    const job = await api.submit({ input: 'a', webhook: { url: receiver.url('/some'), events } });
    await api.finish(job);
    await api.finish(await api.submit({ input: 'a', webhook: null }));
    await until((await finishedJob('/some-other')).delivery, settled);
    const { body } = await api.send(`/v1/webhooks/deliveries?job=${job.id}`);
    assert.deepEqual(JSON.parse(JSON.stringify(body)).data, []);
    assert.deepEqual(receiver.at('/some'), []);
  });

  test('of a large result goes out whole', async () => {
    const { receiver, finishedJob } = system;
    const embedding = Array.from({ length: 20_000 }, (_, i) => i / 7);
    const output = [{ tokens: 3, truncated: false, embedding }];
    await finishedJob('/large', { output, variant: 'ü→\u2028"' });
    const [received] = await receiver.until('/large', 1);
    const { data } = JSON.parse(received?.body ?? '');
    assert.deepEqual([data.output, data.variant], [output, 'ü→\u2028"']);
  });

  test('of a retried job is told where the first one was', async () => {
    const { api, receiver, finishedJob } = system;
    const { job } = await finishedJob('/retried', { status: 'failed' });
    const { body } = await api.send(`/v1/jobs/${job}/retry`, { method: 'POST' });
    await api.finish(JobSchema.parse(body));
    const received = await receiver.until('/retried', 2);
    assert.deepEqual(
      received.map(({ type }) => type),
      ['job.failed', 'job.succeeded'],
    );
    assert.notEqual(received[0]?.id, received[1]?.id);
  });
});

describe('a callback that fails', () => {
  test('is repeated under its id with a fresh timestamp, until it succeeds', async () => {
    const { receiver, until, finishedJob } = system;
    receiver.on('/500', answers(500, 404));
    const { delivery } = await finishedJob('/500');
    const found = await until(delivery, settled);
    assert.equal(found.status, 'delivered');
    assert.deepEqual(
      found.attempts.map(({ status }) => status),
      [500, 404, 204],
    );
    assert.equal(new Set(receiver.at('/500').map(({ id }) => id)).size, 1);
  });

  test('has failed at the end of the schedule, and keeps what was answered', async () => {
    const { receiver, until, finishedJob } = system;
    receiver.on('/never', answer(500, { body: 'x'.repeat(3_000) }));
    const { delivery } = await finishedJob('/never');
    const found = await until(delivery, settled);
    assert.equal(found.status, 'failed');
    assert.equal(found.attempts.length, 3);
    assert.equal(found.next_attempt_at, null);
    assert.ok(found.settled_at !== null);
    assert.equal(found.attempts[0]?.response_head, 'x'.repeat(1_024));
  });

  test('by a redirect is not followed', async () => {
    const { receiver, until, finishedJob } = system;
    receiver.on('/302', answer(302, { headers: { location: receiver.url('/elsewhere') } }));
    const { delivery } = await finishedJob('/302');
    assert.equal((await until(delivery, settled)).status, 'failed');
    assert.deepEqual(receiver.at('/elsewhere'), []);
  });

  test('by a connection that closes says so', async () => {
    const { receiver, until, finishedJob } = system;
    receiver.on('/close', (response) => response.destroy());
    const { delivery } = await finishedJob('/close');
    const { attempts } = await until(delivery, settled);
    assert.deepEqual([attempts[0]?.status, attempts[0]?.error], [null, 'closed']);
  });

  test('waits as long as the receiver asks, up to an hour', async () => {
    const { receiver, until, finishedJob } = system;
    const inADay = new Date(Date.now() + 86_400_000).toUTCString();
    for (const [status, header, waitS] of [
      [429, '90', 90],
      [503, inADay, 3_600],
      [503, '999999', 3_600],
    ] as const) {
      const path = `/after-${status}-${header.length}`;
      receiver.on(path, answer(status, { headers: { 'retry-after': header } }));
      const { delivery } = await finishedJob(path);
      const found = await until(delivery, ({ attempt_count }) => attempt_count === 1);
      const waits = (found.next_attempt_at ?? 0) - (found.attempts[0]?.at ?? 0);
      assert.ok(Math.abs(waits - waitS) < 30, `${waits} s`);
    }
  });
});

describe('an endpoint that answers 410', () => {
  test('gets nothing more until it is enabled', async () => {
    const { api, receiver, until, finishedJob, post } = system;
    receiver.on('/gone', answer(410));
    const first = await finishedJob('/gone');
    assert.equal((await until(first.delivery, settled)).status, 'disabled');
    const second = await finishedJob('/gone');
    const found = await until(second.delivery, settled);
    assert.deepEqual([found.status, found.attempts], ['disabled', []]);
    assert.equal(receiver.at('/gone').length, 1);

    const { body } = await api.send('/v1/webhooks/endpoints');
    const [endpoint] = JSON.parse(JSON.stringify(body)).data;
    assert.deepEqual([endpoint.url, endpoint.reason], [receiver.url('/gone'), 'gone']);
    assert.equal(endpoint.id, found.endpoint);
    const enable = `/v1/webhooks/endpoints/${endpoint.id}/enable`;
    assert.equal((await post(enable)).status, 204);
    assert.equal((await post(enable)).status, 404);
    receiver.on('/gone', answer(204));
    const request = { status: ['disabled'], url: receiver.url('/gone') };
    const again = await post('/v1/webhooks/deliveries/redeliver', request);
    assert.deepEqual(again.body, { redelivered: 2, has_more: false, last_id: first.delivery });
    await until(first.delivery, ({ status }) => status === 'delivered');
    await until(second.delivery, ({ status }) => status === 'delivered');
  });
});

describe('a delivery', () => {
  test('that is settled is sent again, under its id', async () => {
    const { receiver, until, finishedJob, post } = system;
    const { delivery } = await finishedJob('/again');
    await until(delivery, settled);
    const { status } = await post(`/v1/webhooks/deliveries/${delivery}/redeliver`);
    assert.equal(status, 202);
    const [one, two] = await receiver.until('/again', 2);
    assert.deepEqual([one?.id, one?.body], [two?.id, two?.body]);
    const found = await until(delivery, settled);
    assert.deepEqual([found.status, found.attempt_count], ['delivered', 2]);
  });

  test('that waits is sent at once', async () => {
    const { receiver, until, finishedJob, post } = system;
    receiver.on('/sooner', (response, attempt) => {
      const status = attempt === 1 ? 503 : 204;
      response.writeHead(status, { 'retry-after': '3000' }).end();
    });
    const { delivery } = await finishedJob('/sooner');
    await until(delivery, ({ next_attempt_at }) => next_attempt_at !== null);
    await post(`/v1/webhooks/deliveries/${delivery}/redeliver`);
    assert.equal((await until(delivery, settled)).status, 'delivered');
  });

  test('loses its body with its job, and cannot be sent again', async () => {
    const { api, until, finishedJob, post } = system;
    const { job, delivery } = await finishedJob('/removed');
    await until(delivery, settled);
    await api.send(`/v1/jobs/${job}`, { method: 'DELETE' });
    assert.equal(await api.redis.hexists(api.keys.delivery(delivery), 'body'), 0);
    const { status, body } = await post(`/v1/webhooks/deliveries/${delivery}/redeliver`);
    assert.equal(status, 409);
    assert.match(JSON.stringify(body), /delivery_without_body/);
  });

  test('of a removed job that waits is not sent any more', async () => {
    const { api, receiver, until, finishedJob, post } = system;
    const body = 'what a receiver may repeat';
    receiver.on('/removed-early', answer(503, { headers: { 'retry-after': '3000' }, body }));
    const { job, delivery } = await finishedJob('/removed-early');
    await until(delivery, ({ next_attempt_at }) => next_attempt_at !== null);
    await api.send(`/v1/jobs/${job}`, { method: 'DELETE' });
    const found = await system.delivery(delivery);
    assert.deepEqual([found.status, found.next_attempt_at], ['failed', null]);
    const [attempt] = found.attempts;
    assert.deepEqual([attempt?.status, attempt?.response_head], [503, null]);
    assert.equal(await api.redis.hexists(api.keys.delivery(delivery), 'body'), 0);
    assert.equal((await post(`/v1/webhooks/deliveries/${delivery}/redeliver`)).status, 409);
  });

  for (const status of [204, 500]) {
    test(`of a job that is removed during an attempt ends with it: ${status}`, async () => {
      const { api, receiver, until, finishedJob } = system;
      const path = `/removed-meanwhile-${status}`;
      const removed = Promise.withResolvers<void>();
      receiver.on(path, (response, _, { body }) => {
        removed.promise.then(() => response.writeHead(status).end(body));
      });
      const { job, delivery } = await finishedJob(path);
      await receiver.until(path, 1);
      await api.send(`/v1/jobs/${job}`, { method: 'DELETE' });
      assert.equal(await api.redis.hexists(api.keys.delivery(delivery), 'body'), 0);
      removed.resolve();
      const found = await until(delivery, ({ attempt_count }) => attempt_count === 1);
      assert.equal(found.status, status === 204 ? 'delivered' : 'failed');
      const [attempt] = found.attempts;
      assert.deepEqual([attempt?.status, attempt?.response_head], [status, null]);
    });
  }

  test('is kept for its time, and no longer', async () => {
    const { api, until, finishedJob } = system;
    const { delivery } = await finishedJob('/kept');
    await until(delivery, settled);
    const ttlMs = await api.redis.pttl(api.keys.delivery(delivery));
    assert.ok(ttlMs > 2.9 * 86_400_000 && ttlMs <= 3 * 86_400_000);
    assert.ok((await api.redis.pttl(api.keys.deliveries('default'))) <= 3 * 86_400_000);
  });

  test('of another tenant is like one that is not there', async () => {
    const { api, post, until, finishedJob } = system;
    const { delivery, job } = await finishedJob('/foreign');
    await until(delivery, settled);
    await api.redis.hset(api.keys.delivery(delivery), 'tenant', 'another');
    const path = `/v1/webhooks/deliveries/${delivery}`;
    const unknown = `/v1/webhooks/deliveries/whd_${'0'.repeat(26)}`;
    assert.deepEqual((await api.send(path)).body, (await api.send(unknown)).body);
    assert.equal((await post(`${path}/redeliver`)).status, 404);
    const { body } = await api.send(`/v1/webhooks/deliveries?job=${job}`);
    assert.deepEqual(JSON.parse(JSON.stringify(body)).data, []);
  });

  test('is listed newest first, a page at a time, by status', async () => {
    const { api, receiver, until, finishedJob } = system;
    receiver.on('/listed', answer(500));
    const made: string[] = [];
    for (let i = 0; i < 3; i++) {
      const { delivery } = await finishedJob('/listed');
      await until(delivery, settled);
      made.unshift(delivery);
    }
    const query = 'status=failed&limit=2';
    const first = await api.send(`/v1/webhooks/deliveries?${query}`);
    const page = JSON.parse(JSON.stringify(first.body));
    assert.deepEqual(idsOf(page), made.slice(0, 2));
    assert.equal(page.has_more, true);
    const next = await api.send(`/v1/webhooks/deliveries?${query}&after=${page.last_id}`);
    assert.equal(idsOf(next.body)[0], made[2]);
  });
});

test('a test event goes to any URL that callbacks may go to', async () => {
  const { receiver, until, post } = system;
  const { status, body } = await post('/v1/webhooks/test', { url: receiver.url('/test') });
  assert.equal(status, 202);
  const { id } = JSON.parse(JSON.stringify(body));
  const [received] = await receiver.until('/test', 1);
  assert.equal(received?.type, 'webhook.test');
  assert.equal((await until(id, settled)).status, 'delivered');
});

const refused: [string, unknown, string][] = [
  ['no URL', { url: 'x' }, 'webhook.url'],
  ['another protocol', { url: 'ftp://example.com/' }, 'webhook.url'],
  ['a password', { url: 'http://a:b@127.0.0.1/' }, 'webhook.url'],
  ['an inside address', { url: 'http://10.0.0.1/' }, 'webhook.url'],
  ['a URL that is too long', { url: `http://example.com/${'a'.repeat(2_048)}` }, 'webhook.url'],
  ['no events', { url: 'http://example.com/', events: [] }, 'webhook.events'],
  ['events of batches', { url: 'http://a.com/', events: ['batch.failed'] }, 'webhook.events[0]'],
  ['an unknown field', { url: 'http://example.com/', secret: 'x' }, 'webhook.secret'],
];
for (const [name, webhook, param] of refused) {
  test(`a job with a webhook of ${name} is refused`, async () => {
    const { status, body } = await system.post('/v1/jobs', { input: 'a', webhook });
    const { error } = JSON.parse(JSON.stringify(body));
    assert.deepEqual([status, error.code, error.param], [400, 'invalid_request', param]);
  });
}

function idsOf(page: unknown): string[] {
  return JSON.parse(JSON.stringify(page)).data.map(({ id }: { id: string }) => id);
}
