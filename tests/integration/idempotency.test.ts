import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { JobSchema } from '@headrace/shared/jobs.ts';
import { createTakeOnce } from '@headrace/shared/once.ts';
import { Hono } from 'hono';
import { z } from 'zod';
import type { ApiEnv } from '../../apps/api/src/middleware/api-env.ts';
import { ANYBODY } from '../../apps/api/src/middleware/caller.ts';
import { onceOf } from '../../apps/api/src/middleware/idempotency.ts';
import { type Answer, QUEUE, startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

let redis: TestRedis;
let api: TestApi;
before(async () => {
  redis = await startRedis();
  api = await startTestApi(redis.url);
});
after(async () => {
  await api.stop();
  await redis.stop();
});

function submit(key: string, body: unknown, headers: Record<string, string> = {}) {
  return api.send('/v1/jobs', { body, headers: { 'idempotency-key': key, ...headers } });
}

function idOf({ status, body }: Answer, expected = 202): string {
  assert.equal(status, expected, JSON.stringify(body));
  return JobSchema.parse(body).id;
}

function codeOf({ body }: Answer): unknown {
  return JSON.parse(JSON.stringify(body)).error?.code;
}

describe('an Idempotency-Key', () => {
  test('makes one job of a hundred submissions at once, and says which are replays', async () => {
    const before = await api.store.backlog(QUEUE);
    const body = { input: ['a', 'b'], metadata: { order: '1' } };
    const answers = await Promise.all(Array.from({ length: 100 }, () => submit('hundred', body)));
    assert.equal(new Set(answers.map((answer) => idOf(answer))).size, 1);
    const replayed = answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true');
    assert.equal(replayed.length, 99);
    assert.equal(new Set(answers.map((answer) => JSON.stringify(answer.body))).size, 1);
    assert.equal((await api.store.backlog(QUEUE)).rows - before.rows, 2);
  });

  test('gives the first answer again after the job is finished, and when it is gone', async () => {
    const first = await submit('finished', { input: 'a' });
    const job = JobSchema.parse(first.body);
    await api.finish(job);
    assert.deepEqual((await submit('finished', { input: 'a' })).body, first.body);
    const waited = await submit('finished', { input: 'a' }, { prefer: 'wait=1' });
    assert.equal(idOf(waited, 200), job.id);
    assert.equal(waited.headers.get('idempotent-replayed'), 'true');
    await api.send(`/v1/jobs/${job.id}`, { method: 'DELETE' });
    // As a worker has BullMQ forget it.
    await api.redis.del(api.keys.bull(QUEUE, job.id));
    assert.deepEqual(
      (await submit('finished', { input: 'a' }, { prefer: 'wait=1' })).body,
      first.body,
    );
  });

  test('gives the first answer again while nothing more is admitted', async () => {
    const small = await startTestApi(redis.url, { HEADRACE_MAX_BACKLOG_ROWS: '1' });
    try {
      const send = (key: string, input: string) =>
        small.send('/v1/jobs', { body: { input }, headers: { 'idempotency-key': key } });
      const first = await send('full', 'a');
      assert.equal((await send('another', 'a')).status, 429);
      assert.deepEqual((await send('full', 'a')).body, first.body);
      assert.equal((await send('full', 'b')).status, 422);
    } finally {
      await small.stop();
    }
  });

  test('is not one for another body, nor for another route', async () => {
    await submit('other', { input: 'a', parameters: { top_k: 1, raw_scores: true } });
    const spelled = '{ "parameters": {"raw_scores": true, "top_k": 1}, "input": "a" }';
    assert.equal((await submit('other', spelled)).status, 202);
    const differs = await submit('other', { input: 'b' });
    assert.equal(differs.status, 422);
    assert.equal(codeOf(differs), 'idempotency_mismatch');
    const headers = { 'idempotency-key': 'other' };
    assert.equal((await api.send('/predict', { body: { text: 'a' }, headers })).status, 422);
  });

  test('makes one job of a retry that is sent twice', async () => {
    const job = await api.submit({ input: 'a' });
    await api.send(`/v1/jobs/${job.id}/cancel`, { method: 'POST' });
    const headers = { 'idempotency-key': 'retry' };
    const retry = () => api.send(`/v1/jobs/${job.id}/retry`, { method: 'POST', headers });
    const first = await retry();
    const second = await retry();
    assert.equal(idOf(first), idOf(second));
    assert.deepEqual(
      [first, second].map(({ headers }) => headers.get('idempotent-replayed')),
      [null, 'true'],
    );
  });

  test('is another one for another tenant', async () => {
    const app = new Hono<ApiEnv>();
    app.post('/', (c) => {
      c.set('caller', { ...ANYBODY, tenant: c.req.header('tenant') ?? '' });
      return c.json(onceOf(c, 'jobs', { input: 'a' }));
    });
    const ask = async (tenant: string) => {
      const headers = { tenant, 'idempotency-key': 'same' };
      const answer = await app.request('/', { method: 'POST', headers });
      return z.object({ digest: z.string(), fingerprint: z.string() }).parse(await answer.json());
    };
    const [one, again, other] = [await ask('one'), await ask('one'), await ask('other')];
    assert.deepEqual(again, one);
    assert.notEqual(other.digest, one.digest);
    assert.equal(other.fingerprint, one.fingerprint);
  });

  test('is left free by a submission that was refused', async () => {
    assert.equal((await submit('refused', { input: '' })).status, 422);
    const answer = await submit('refused', { input: 'a' });
    assert.equal(answer.headers.get('idempotent-replayed'), null);
    idOf(answer);
  });

  test('must be 1 to 255 visible characters, and none of it is in a Redis key', async () => {
    for (const key of ['a b', 'a'.repeat(256), 'ä']) {
      const answer = await submit(key, { input: 'a' });
      assert.equal(answer.status, 400, key);
      assert.match(JSON.stringify(answer.body), /"param":"Idempotency-Key"/);
    }
    idOf(await submit('findme*', { input: 'a' }));
    assert.deepEqual(await api.redis.keys('*findme*'), []);
  });

  test('leaves with its job: both are stored, or none', async () => {
    const [id] = [idOf(await submit('together', { input: 'a' }))];
    const kept = await api.redis.keys(`${api.keys.once('')}*`);
    const values = await api.redis.mget(kept);
    assert.ok(values.some((value) => value?.includes(id)));
    for (const key of kept) assert.ok((await api.redis.pttl(key)) > 86_000_000);
  });
});

describe('an Idempotency-Key of an upload', () => {
  function upload(key: string, content: string, filename = 'rows') {
    const body = new FormData();
    body.append('purpose', 'user_data');
    body.append('file', new Blob([content]), filename);
    return api.send('/v1/files', { body, headers: { 'idempotency-key': key } });
  }
  const filesThere = async () => (await api.redis.zcard(api.keys.files('default'))) ?? 0;

  test('makes one file, and gives its answer again to the same content only', async () => {
    const before = await filesThere();
    const first = await upload('file', 'a text');
    const again = await upload('file', 'a text');
    assert.deepEqual([first.status, again.status], [200, 200]);
    assert.deepEqual(again.body, first.body);
    assert.equal(again.headers.get('idempotent-replayed'), 'true');
    for (const other of [upload('file', 'a tex'), upload('file', 'a text', 'other')]) {
      const { status, body } = await other;
      assert.equal(status, 422, JSON.stringify(body));
    }
    assert.equal(await filesThere(), before + 1);
  });

  test('is 409 while the first one runs, which says to try again; and free when it fails', async () => {
    const key = 'upload in progress'.replaceAll(' ', '-');
    const keysBefore = await api.redis.keys(`${api.keys.once('')}*`);
    const content = new TransformStream<Uint8Array, Uint8Array>();
    const writer = content.writable.getWriter();
    const head =
      '--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n' +
      '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\na text';
    const begun = writer.write(new TextEncoder().encode(head));
    const first = api.api.app.request('/v1/files', {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=x', 'idempotency-key': key },
      body: content.readable,
      // Node asks for it, and the types of the DOM do not know it.
      ...{ duplex: 'half' },
    });
    await begun;
    while ((await api.redis.keys(`${api.keys.once('')}*`)).length === keysBefore.length);
    const second = await upload(key, 'a text');
    assert.equal(second.status, 409);
    assert.equal(codeOf(second), 'idempotency_in_progress');
    assert.equal(second.headers.get('x-should-retry'), 'true');
    await writer.close();
    assert.equal((await first).status, 400);
    assert.equal((await upload(key, 'a text')).headers.get('idempotent-replayed'), null);
  });

  test('heals when the one who held it is gone', async () => {
    const held = createTakeOnce(api.redis);
    const key = api.keys.once('digest');
    const lease = await held(key, 'first');
    assert.ok(typeof lease === 'object' && 'release' in lease);
    assert.deepEqual(await held(key, 'second'), { held: true });
    const ttlMs = await api.redis.pttl(key);
    assert.ok(ttlMs > 0 && ttlMs <= 60_000, `${ttlMs}`);
    await lease.release();
    const next = await held(key, 'second');
    assert.ok(typeof next === 'object' && 'release' in next);
    await lease.release();
    assert.deepEqual(
      await held(key, 'third'),
      { held: true },
      'it is not the first one’s any more',
    );
    await next.release();
  });
});

describe('an Idempotency-Key of a batch', () => {
  test('makes one batch of many requests, and gives the first answer again later', async () => {
    const form = new FormData();
    form.append('purpose', 'batch');
    form.append('file', new Blob(['{}\n']), 'rows.jsonl');
    const file = z
      .object({ id: z.string() })
      .parse((await api.send('/v1/files', { body: form })).body);
    const create = (metadata = {}) =>
      api.send('/v1/batches', {
        body: { input_file_id: file.id, endpoint: '/v1/jobs', metadata },
        headers: { 'idempotency-key': 'batch' },
      });
    const answers = await Promise.all(Array.from({ length: 20 }, () => create()));
    const bodies = new Set(answers.map(({ body }) => JSON.stringify(body)));
    assert.equal(bodies.size, 1);
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    const replayed = answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true');
    assert.equal(replayed.length, 19);
    assert.equal((await create({ other: 'body' })).status, 422);
    const { id } = z.object({ id: z.string() }).parse(answers[0]?.body);
    await api.send(`/v1/batches/${id}/cancel`, { method: 'POST' });
    await api.send(`/v1/files/${file.id}`, { method: 'DELETE' });
    assert.deepEqual((await create()).body, answers[0]?.body);
    assert.equal(await api.redis.zcard(api.keys.batches('default')), 1);
  });
});
