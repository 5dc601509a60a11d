import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { createEnqueue, type EnqueueOutcome } from '@headrace/shared/enqueue.ts';
import { newJobId } from '@headrace/shared/ids.ts';
import { estimateTokens } from '@headrace/shared/jobs.ts';
import { createKeyspace, type JobPayload } from '@headrace/shared/queues.ts';
import { reportWorker } from '@headrace/shared/workers.ts';
import { z } from 'zod';
import { type Answer, MODEL, startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

/** An API with settings of its own; one text a job unless the test says otherwise. */
async function openApi(env: Record<string, string>) {
  const api = await startTestApi(redis.url, env);
  const submit = (input: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    api.send('/v1/jobs', { body: { input }, headers });
  return { api, submit, [Symbol.asyncDispose]: () => api.stop() };
}

/** @returns what a request with a new key has in its head */
async function keyOf(api: TestApi, body: object, headers: Record<string, string> = {}) {
  const { body: made } = await api.send('/v1/keys', { body, headers });
  const { secret } = z.object({ secret: z.string() }).parse(made);
  return { authorization: `Bearer ${secret}` };
}

const statuses = (answers: Answer[]) => ({
  accepted: answers.filter(({ status }) => status === 202).length,
  refused: answers.filter(({ status }) => status === 429).length,
});
const tokensOf = (text: string) => estimateTokens({ text, text_pair: null }, 64);
const codeOf = ({ body }: Answer) => JSON.parse(JSON.stringify(body)).error.code;

describe('the rate of a key', () => {
  const env = { HEADRACE_RATE_ROWS_PER_S: '1', HEADRACE_RATE_BURST_ROWS: '40' };

  test('counts rows, for one and for lists, and no more race past it than it allows', async () => {
    await using it = await openApi({ ...env });
    const began = Date.now();
    const list = await it.submit(Array.from({ length: 30 }, () => 'a'));
    assert.equal(list.status, 202);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => it.submit('a', { 'x-forwarded-for': `10.0.0.${i}` })),
    );
    const allowed = 10 + Math.ceil((Date.now() - began) / 1000);
    const { accepted, refused } = statuses(answers);
    assert.equal(accepted + refused, 50);
    assert.ok(accepted >= 10 && accepted <= allowed, `${accepted} of ${allowed}`);
    const last = answers.find(({ status }) => status === 429);
    assert.equal(last && codeOf(last), 'rate_limited');
    assert.equal(last?.headers.get('retry-after'), '1');
  });

  test('says when a list of rows fits, and refuses for good what never does', async () => {
    await using it = await openApi({ ...env });
    const rows = (count: number) => Array.from({ length: count }, () => 'a');
    await it.submit(rows(40));
    const refused = await it.submit(rows(20));
    assert.equal(refused.status, 429);
    assert.ok([19, 20].includes(Number(refused.headers.get('retry-after'))));
    const never = await it.submit(rows(41));
    assert.equal(never.status, 413);
    assert.equal(codeOf(never), 'too_many_rows');
  });
});

describe('the rows of a tenant', () => {
  test('are bounded, and free again when they are finished or cancelled', async () => {
    await using it = await openApi({ HEADRACE_TENANT_MAX_ROWS: '3' });
    const first = await it.api.submit({ input: ['a', 'b'] });
    const second = await it.api.submit({ input: 'c' });
    const refused = await it.submit('d');
    assert.equal(refused.status, 429);
    assert.equal(codeOf(refused), 'overloaded');
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    await it.api.finish(first);
    assert.deepEqual(statuses([await it.submit(['d', 'e']), await it.submit('f')]), {
      accepted: 1,
      refused: 1,
    });
    await it.api.send(`/v1/jobs/${second.id}/cancel`, { method: 'POST' });
    assert.equal((await it.submit('f')).status, 202);
  });

  test('have a bound of their own where an admin has set one', async () => {
    await using it = await openApi({});
    const admin = await keyOf(it.api, { name: 'ops', scopes: ['admin', 'jobs'] });
    const search = await keyOf(it.api, { name: 'a', tenant: 'search', scopes: ['jobs'] }, admin);
    const limits = { method: 'PUT', headers: admin, body: { max_rows: 1 } };
    assert.equal((await it.api.send('/v1/tenants/search', limits)).status, 200);
    assert.equal((await it.submit('a', search)).status, 202);
    assert.equal(codeOf(await it.submit('a', search)), 'overloaded');
    assert.equal((await it.submit(['a', 'b'], admin)).status, 202);
  });

  test('have that bound also where no key is demanded', async () => {
    await using it = await openApi({});
    const limits = { method: 'PUT', body: { max_rows: 1 } };
    assert.equal((await it.api.send('/v1/tenants/default', limits)).status, 200);
    await using later = await openApi({ HEADRACE_PREFIX: it.api.keys.prefix });
    assert.equal((await later.submit('a')).status, 202);
    assert.equal(codeOf(await later.submit('a')), 'overloaded');
  });

  test('are those of one tenant, as are its keys, and a key’s rate is that key’s', async () => {
    await using it = await openApi({});
    const keys = createKeyspace(testPrefix());
    const enqueue = createEnqueue(it.api.redis, keys);
    const add = (tenant: string, keyId: string): Promise<EnqueueOutcome> => {
      const payload: JobPayload = {
        ...{ v: 1, tenant, model: 'm@1', rows: [{ text: 'a', text_pair: null }], parameters: {} },
        ...{ priority: 'normal', ttl_s: 60, timeout_s: 30, metadata: {}, created_ms: 1 },
        ...{ tokens: 3, retry_of: null },
      };
      const rate = { rowsPerS: 0.001, burstRows: 1 };
      const terms = { keyId, rate, maxRows: 2, weight: 1 };
      return enqueue({ id: newJobId(1), queue: 'infer.m@1', payload, terms });
    };
    const kinds = [];
    for (const [tenant, key] of [
      ['one', 'a'],
      ['one', 'a'],
      ['one', 'b'],
      ['one', 'c'],
      ['two', 'c'],
    ] as const) {
      kinds.push((await add(tenant, key)).kind);
    }
    assert.deepEqual(kinds, ['added', 'too-fast', 'added', 'too-many-rows', 'added']);
  });
});

describe('the backlog of a model', () => {
  test('is bounded by the time it takes; Retry-After says when there is room', async () => {
    await using it = await openApi({ HEADRACE_MAX_BACKLOG_S: '10' });
    const { keys, redis: connection, api } = it.api;
    const models = [{ model: MODEL, variant: 'fp32', ready: true, tokens_per_s: 1, rows_per_s: 1 }];
    await reportWorker(connection, keys, { id: 'worker', at_ms: Date.now(), models });
    await api.ticks.workers();
    const long = 'a '.repeat(40);
    assert.ok(tokensOf(long) > 10, 'it takes longer than the limit');
    assert.equal((await it.submit(long)).status, 202, 'nothing waits before it');
    const refused = await it.submit('a');
    assert.equal(refused.status, 429);
    assert.equal(codeOf(refused), 'overloaded');
    const excess = tokensOf(long) + tokensOf('a') - 10;
    const retryAfter = Number(refused.headers.get('retry-after'));
    assert.ok([excess, excess + 1].includes(retryAfter), `${retryAfter} for ${excess}`);
  });
});

test('what a rate refuses takes no room from others', async () => {
  await using it = await openApi({
    HEADRACE_RATE_ROWS_PER_S: '1',
    HEADRACE_RATE_BURST_ROWS: '100',
    HEADRACE_MAX_BACKLOG_ROWS: '500',
  });
  const rows = Array.from({ length: 100 }, () => 'a');
  assert.equal((await it.submit(rows)).status, 202);
  for (let i = 0; i < 20; i++) assert.equal(codeOf(await it.submit(rows)), 'rate_limited');
});

test('a tenant that fills the backlog keeps no other one out', async () => {
  await using it = await openApi({ HEADRACE_MAX_BACKLOG_ROWS: '1000' });
  const admin = await keyOf(it.api, { name: 'ops', scopes: ['admin', 'jobs'] });
  const quiet = await keyOf(it.api, { name: 'a', tenant: 'quiet', scopes: ['jobs'] }, admin);
  const rows = (count: number) => Array.from({ length: count }, () => 'a');
  assert.equal((await it.submit(rows(1_000), admin)).status, 202);
  await it.api.api.ticks.backlogs();
  assert.equal(codeOf(await it.submit('a', admin)), 'overloaded');
  assert.equal(codeOf(await it.submit(rows(11), quiet)), 'overloaded');
  assert.equal((await it.submit(rows(9), quiet)).status, 202);
  const last = await Promise.all([it.submit('a', quiet), it.submit('a', quiet)]);
  assert.deepEqual(statuses(last), { accepted: 1, refused: 1 });
  assert.ok(Number(last.find(({ status }) => status === 429)?.headers.get('retry-after')) > 0);
});

describe('the batches of a tenant', () => {
  test('are bounded, and one that has ended makes room', async () => {
    await using it = await openApi({ HEADRACE_TENANT_MAX_BATCHES: '1' });
    const form = new FormData();
    form.append('purpose', 'batch');
    form.append('file', new Blob(['{}\n']), 'rows.jsonl');
    const { body: file } = await it.api.send('/v1/files', { body: form });
    const input_file_id = z.object({ id: z.string() }).parse(file).id;
    const body = { input_file_id, endpoint: '/v1/jobs' };
    const { body: first } = await it.api.send('/v1/batches', { body });
    const { id } = z.object({ id: z.string() }).parse(first);
    const refused = await it.api.send('/v1/batches', { body });
    assert.equal(refused.status, 429);
    assert.equal(codeOf(refused), 'overloaded');
    const store = new BatchStore(it.api.redis, it.api.keys);
    assert.ok(await store.move(id, { from: ['validating'], to: 'cancelled' }));
    assert.equal((await it.api.send('/v1/batches', { body })).status, 200);
  });
});

test('a Redis that is nearly full takes no jobs and no test events', async () => {
  const full = await startRedis();
  const api = await startTestApi(full.url);
  try {
    const used = /^used_memory:(\d+)/m.exec(await api.redis.info('memory'))?.[1];
    await api.redis.config('SET', 'maxmemory', Math.floor(Number(used) / 0.9));
    await api.api.ticks.admission();
    for (const [path, body] of [
      ['/v1/jobs', { input: 'a' }],
      ['/v1/webhooks/test', { url: 'https://example.com/' }],
    ] as const) {
      const answer = await api.send(path, { body });
      assert.deepEqual([answer.status, codeOf(answer)], [503, 'storage_nearly_full'], path);
    }
  } finally {
    await api.stop();
    await full.stop();
  }
});
