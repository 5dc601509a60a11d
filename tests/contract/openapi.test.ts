import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { z } from 'zod';
import { apiReference } from '../../scripts/docs/api-reference.ts';
import { startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

const REFERENCE = new URL('../../docs/api.md', import.meta.url);

let redis: TestRedis;
let api: TestApi;
before(async () => {
  redis = await startRedis();
  api = await startTestApi(redis.url, {
    HEADRACE_PREDICT_TIMEOUT_S: '1',
    HEADRACE_MAX_BACKLOG_ROWS: '40',
    HEADRACE_READY_NEEDS_WORKER: 'on',
  });
});
after(async () => {
  await api.stop();
  await redis.stop();
});

/** Demanded from the first key on. */
let authorization: Record<string, string> = {};

/** Sends a request whose answer `send` itself holds to the document. */
async function expect(status: number, path: string, options?: Parameters<TestApi['send']>[1]) {
  const headers = { ...authorization, ...options?.headers };
  const answer = await api.send(path, { ...options, headers });
  assert.equal(answer.status, status, JSON.stringify(answer.body).slice(0, 500));
  return answer;
}

const POST = { method: 'POST' };
const DELETE = { method: 'DELETE' };
const NOBODY = '/v1/jobs/job_00000000000000000000000000';

test('docs/api.md is made from the OpenAPI document', async () => {
  const { body } = await api.send('/openapi.json');
  assert.equal(readFileSync(REFERENCE, 'utf8'), apiReference(body));
});

describe('every answer is as the OpenAPI document says', () => {
  test('of /v1/jobs', async () => {
    await expect(202, '/v1/jobs', { body: { input: ['a', 'b'], metadata: { a: 'b' } } });
    const waiting = { body: { input: 'a' }, headers: { prefer: 'wait=1' } };
    await expect(202, '/v1/jobs', waiting);
    await expectFinished('/v1/jobs', { ...waiting, headers: { prefer: 'wait=30' } });
    await expect(400, '/v1/jobs', { body: {} });
    await expect(404, '/v1/jobs', { body: { model: 'nope', input: 'a' } });
    await expect(413, '/v1/jobs', { body: { input: Array(2_049).fill('a') } });
    await expect(415, '/v1/jobs', { body: 'a', headers: { 'content-type': 'text/plain' } });
    await expect(422, '/v1/jobs', { body: { input: '' } });
    await expect(429, '/v1/jobs', { body: { input: Array(41).fill('a') } });
    await expect(405, '/v1/jobs', { method: 'PUT' });
    await expect(200, '/v1/jobs?limit=2');
    await expect(200, '/v1/jobs?batch=b');
    await expect(400, '/v1/jobs?limit=0');
  });

  test('of /v1/jobs/{id} and what is below', async () => {
    const job = await api.submit({ input: ['a', 'b'] });
    await expect(200, `/v1/jobs/${job.id}`);
    await expect(400, `/v1/jobs/${job.id}?wait=x`);
    await expect(409, `/v1/jobs/${job.id}/retry`, POST);
    await expect(409, `/v1/jobs/${job.id}`, DELETE);
    await expect(200, `/v1/jobs/${job.id}/cancel`, POST);
    await expect(409, `/v1/jobs/${job.id}/cancel`, POST);
    await expect(200, `/v1/jobs/${job.id}/events`);
    const headers = { 'last-event-id': 'canceled-0' };
    await expect(204, `/v1/jobs/${job.id}/events`, { headers });
    await expect(200, `/v1/jobs/${job.id}`);
    await expect(202, `/v1/jobs/${job.id}/retry`, POST);
    await expect(204, `/v1/jobs/${job.id}`, DELETE);
    for (const below of ['', '/events', '/nothing']) await expect(404, `${NOBODY}${below}`);
    for (const below of ['/cancel', '/retry']) await expect(404, `${NOBODY}${below}`, POST);
    await expect(404, NOBODY, DELETE);
    for (const below of ['/events', '']) await expect(400, `${NOBODY}${below}?x=1`);
    for (const below of ['/cancel', '/retry']) await expect(400, `${NOBODY}${below}?x=1`, POST);
    await expect(400, `${NOBODY}?x=1`, DELETE);
  });

  test('of jobs in every state and with every kind of row', async () => {
    const error = {
      ...{ message: 'why', type: 'job_error', code: 'row_crashed_engine' as const },
      ...{ param: null, retryable: false },
    };
    const output = [
      { tokens: 3, truncated: false, labels: [{ label: 'good', score: 1 }], chunks: 2 },
      { tokens: 3, truncated: true, embedding: [0.1] },
      { tokens: 3, truncated: true, embedding: 'AAAA' },
      { tokens: 0, truncated: false, error },
    ];
    for (const finish of [{ output }, { status: 'failed' as const, error }]) {
      const job = await api.submit({ input: 'a' });
      await api.finish(job, finish);
      await expect(200, `/v1/jobs/${job.id}`);
    }
    await expect(200, '/v1/jobs?limit=100');
  });

  test('of /predict, the models and the probes', async () => {
    await expectFinished('/predict', { body: { text: 'a' } });
    await expect(504, '/predict', { body: { text: 'a' } });
    await expect(400, '/predict', { body: {} });
    await expect(422, '/predict', { body: { text: '' } });
    await expect(200, '/v1/models');
    await expect(400, '/v1/models?x=1');
    await expect(200, '/v1/models/tiny-embedder');
    await expect(400, '/v1/models/tiny-embedder?x=1');
    await expect(404, '/v1/models/nope');
    await expect(200, '/v1/scaling/tiny-embedder');
    await expect(200, '/v1/scaling/tiny-embedder@1');
    await expect(400, '/v1/scaling/tiny-embedder?x=1');
    await expect(404, '/v1/scaling/nope');
    await expect(200, '/health');
    await expect(503, '/ready');
    await expect(200, '/metrics');
  });

  test('of /v1/embeddings', async () => {
    const good = { model: 'tiny-embedder', input: ['a', 'b'] };
    await expect(400, '/v1/embeddings', { body: { ...good, input: 1 } });
    await expect(404, '/v1/embeddings', { body: { ...good, model: 'nope' } });
    await expect(413, '/v1/embeddings', { body: { ...good, input: Array(2_049).fill('a') } });
    await expect(415, '/v1/embeddings', { body: 'a', headers: { 'content-type': 'text/plain' } });
    await expect(422, '/v1/embeddings', { body: { ...good, input: '' } });
    await expect(429, '/v1/embeddings', { body: { ...good, input: Array(41).fill('a') } });
  });

  test('of files', async () => {
    const body = new FormData();
    body.append('purpose', 'batch');
    body.append('file', new Blob(['{}']), 'a.jsonl');
    const { body: file } = await expect(200, '/v1/files', { body });
    const { id } = z.object({ id: z.string() }).parse(file);
    await expect(400, '/v1/files', { body: new FormData() });
    await expect(415, '/v1/files', { body: {} });
    await expect(200, '/v1/files?limit=1');
    await expect(400, '/v1/files?limit=0');
    await expect(200, `/v1/files/${id}`);
    await expect(200, `/v1/files/${id}/content`);
    await expect(206, `/v1/files/${id}/content`, { headers: { range: 'bytes=0-0' } });
    await expect(416, `/v1/files/${id}/content`, { headers: { range: 'bytes=9-' } });
    for (const below of ['', '/content']) await expect(400, `/v1/files/${id}${below}?x=1`);
    await expect(400, `/v1/files/${id}?x=1`, DELETE);
    await expect(200, `/v1/files/${id}`, DELETE);
    await expect(404, `/v1/files/${id}`, DELETE);
    for (const below of ['', '/content']) await expect(404, `/v1/files/${id}${below}`);
  });

  test('of batches', async () => {
    const form = new FormData();
    form.append('purpose', 'batch');
    form.append('file', new Blob(['{}']), 'a.jsonl');
    const { body: file } = await expect(200, '/v1/files', { body: form });
    const request = {
      input_file_id: z.object({ id: z.string() }).parse(file).id,
      ...{ endpoint: '/v1/jobs', completion_window: '24h' },
    };
    const { body: batch } = await expect(200, '/v1/batches', { body: request });
    const { id } = z.object({ id: z.string() }).parse(batch);
    await expect(400, '/v1/batches', { body: { ...request, completion_window: '8d' } });
    await expect(404, '/v1/batches', { body: { ...request, input_file_id: 'file-x' } });
    await expect(400, '/v1/batches', { body: { ...request, input_url: 's3://bucket/key' } });
    await expect(415, '/v1/batches', { body: 'a', headers: { 'content-type': 'text/plain' } });
    await expect(200, '/v1/batches?limit=1');
    await expect(400, '/v1/batches?limit=0');
    await expect(200, `/v1/batches/${id}`);
    await expect(400, `/v1/batches/${id}?x=1`);
    await expect(404, `/v1/batches/batch_${'0'.repeat(26)}`);
    const documents = { format: 'text' };
    const scored = { input_file_id: request.input_file_id, model: 'tiny-classifier', documents };
    await expect(200, '/v1/batches', { body: scored });
    await expect(404, '/v1/batches', { body: { ...scored, model: 'nope' } });
    await expect(200, `/v1/batches/${id}/results`);
    await expect(400, `/v1/batches/${id}/results?limit=0`);
    await expect(404, '/v1/batches/batch_x/results');
    await expect(409, `/v1/batches/${id}/retry`, POST);
    await expect(400, `/v1/batches/${id}/retry?x=1`, POST);
    await expect(404, '/v1/batches/batch_x/retry', POST);
    for (const action of ['pause', 'resume', 'cancel']) {
      await expect(200, `/v1/batches/${id}/${action}`, POST);
      await expect(400, `/v1/batches/${id}/${action}?x=1`, POST);
      await expect(404, `/v1/batches/batch_x/${action}`, POST);
    }
    for (const action of ['pause', 'resume']) {
      await expect(409, `/v1/batches/${id}/${action}`, POST);
    }
  });

  test('of /v1/overview', async () => {
    await expect(200, '/v1/overview');
    await expect(400, '/v1/overview?x=1');
    await expect(200, '/v1/overview/events');
    await expect(200, '/v1/overview/events', { method: 'HEAD' });
    await expect(400, '/v1/overview/events?x=1');
  });

  test('of keys and tenants', async () => {
    const good = { name: 'all', scopes: ['admin', 'jobs', 'batches', 'webhooks'] };
    await expect(400, '/v1/keys', { body: { ...good, scopes: ['jobs'] } });
    const { body } = await expect(201, '/v1/keys', { body: good });
    const { id, secret } = z.object({ id: z.string(), secret: z.string() }).parse(body);
    for (const path of ['/v1/keys', '/v1/models', '/v1/jobs']) {
      const refused = await api.send(path);
      assert.equal(refused.status, 401, path);
      assert.equal(refused.headers.get('www-authenticate'), 'Bearer');
    }
    authorization = { authorization: `Bearer ${secret}` };
    await expect(415, '/v1/keys', { body: 'a', headers: { 'content-type': 'text/plain' } });
    for (const wrong of [
      ...[{ name: '' }, { name: 'a\u2028b' }, { scopes: [] }, { scopes: ['root'] }],
      ...[{ tenant: 'a:b' }, { tenant: '__proto__' }, { expires_at: 1 }, { key: 'x' }],
      { rate_limit: { rows_per_s: 0, burst_rows: 1 } },
    ]) {
      await expect(400, '/v1/keys', { body: { ...good, ...wrong } });
    }
    const few = { name: 'few', scopes: ['jobs'], tenant: 'search', expires_at: 4_000_000_000 };
    const made = await expect(201, '/v1/keys', { body: few });
    const only = z.object({ id: z.string(), secret: z.string() }).parse(made.body);
    const headers = { authorization: `Bearer ${only.secret}` };
    for (const path of ['/v1/keys', '/v1/tenants', '/v1/files', '/v1/batches']) {
      await expect(403, path, { headers });
    }
    await expect(200, '/v1/jobs', { headers });
    await expect(200, '/v1/models', { headers });
    await expect(200, '/v1/keys?limit=1');
    await expect(400, '/v1/keys?limit=0');
    await expect(200, `/v1/keys/${id}`);
    await expect(400, `/v1/keys/${id}?x=1`);
    await expect(404, '/v1/keys/key_x');
    await expect(404, '/v1/keys/key_x/revoke', POST);
    await expect(400, `/v1/keys/${only.id}/revoke?x=1`, POST);
    await expect(200, `/v1/keys/${only.id}/revoke`, POST);
    await expect(401, '/v1/jobs', { headers });
    const tenant = '/v1/tenants/search';
    const put = { method: 'PUT' };
    await expect(404, tenant);
    await expect(200, tenant, { ...put, body: { weight: 2, max_rows: 10 } });
    await expect(400, tenant, { ...put, body: { weight: 0 } });
    await expect(404, '/v1/tenants/A', { ...put, body: {} });
    await expect(200, tenant);
    await expect(200, '/v1/tenants');
    await expect(204, tenant, DELETE);
    await expect(404, tenant, DELETE);
  });

  test('of webhooks', async () => {
    const base = '/v1/webhooks';
    const { body } = await expect(202, `${base}/test`, { body: { url: 'https://example.com/' } });
    const { id } = z.object({ id: z.string() }).parse(body);
    await expect(400, `${base}/test`, { body: { url: 'http://localhost/' } });
    await expect(415, `${base}/test`, { body: 'a', headers: { 'content-type': 'text/plain' } });
    await expect(200, `${base}/deliveries?limit=1&status=pending`);
    await expect(400, `${base}/deliveries?job=x`);
    await expect(200, `${base}/deliveries/${id}`);
    await expect(404, `${base}/deliveries/whd_x`);
    await expect(400, `${base}/deliveries/${id}?x=1`);
    await expect(202, `${base}/deliveries/${id}/redeliver`, POST);
    await expect(404, `${base}/deliveries/whd_x/redeliver`, POST);
    await expect(202, `${base}/deliveries/redeliver`, { body: {} });
    await expect(400, `${base}/deliveries/redeliver`, { body: { status: ['x'] } });
    await expect(200, `${base}/secrets`, { body: { overlap_s: 1 } });
    await expect(400, `${base}/secrets`, { body: { overlap_s: -1 } });
    await expect(200, `${base}/secrets`);
    await expect(200, `${base}/endpoints`);
    await expect(404, `${base}/endpoints/whe_x/enable`, POST);
  });

  test('and no operation is left out', () => {
    const seen = [...api.contract.seen].map((answer) => answer.replace(/ \d+$/, ''));
    assert.deepEqual(
      api.contract.operations.filter((each) => !seen.includes(each)),
      [],
    );
    assert.equal(api.contract.operations.length, 47);
  });
});

describe('the OpenAPI document', () => {
  test('is 3.1, and each of its schemas compiles', async () => {
    const { body } = await api.send('/openapi.json');
    const { openapi, components } = z
      .looseObject({
        openapi: z.string(),
        components: z.looseObject({ schemas: z.record(z.string(), z.unknown()) }),
      })
      .parse(body);
    assert.equal(openapi, '3.1.0');
    const ajv = new Ajv2020({ strict: false });
    ajv.addSchema({ $id: 'document', components }, 'document', true, false);
    const names = Object.keys(components.schemas);
    assert.ok(names.includes('Job') && names.includes('JobRequest'));
    for (const name of names) assert.ok(ajv.getSchema(`document#/components/schemas/${name}`));
  });

  test('accepts the requests that the API accepts, and refuses those it refuses', async () => {
    const { body } = await api.send('/openapi.json');
    const ajv = new Ajv2020({ strict: false });
    ajv.addSchema({ $id: 'document', ...z.looseObject({}).parse(body) }, 'document', true, false);
    const validate = ajv.getSchema('document#/components/schemas/JobRequest');
    assert.ok(validate);
    const good = { model: 'tiny-pairs', input: [{ text: 'a', text_pair: 'b' }, 'c'] };
    assert.equal(validate(good), true);
    await expect(202, '/v1/jobs', { body: good });
    for (const bad of [{}, { input: 1 }, { input: 'a', x: 1 }, { input: 'a', ttl_s: 0 }]) {
      assert.equal(validate(bad), false);
      await expect(400, '/v1/jobs', { body: bad });
    }
  });
});

/** Sends a request that waits for its job, and finishes the job meanwhile. */
async function expectFinished(path: string, options: Parameters<TestApi['send']>[1]) {
  const [newest] = await api.store.listIds('default', null, 1);
  const answer = expect(200, path, options);
  const model = 'tiny-classifier@1';
  const deadline = Date.now() + 10_000;
  for (;;) {
    const [id] = await api.store.listIds('default', null, 1);
    const found = id === undefined ? null : await api.store.find(id, [`infer.${model}`]);
    if (id !== undefined && id !== newest && found) {
      await api.finish({ id, model });
      return answer;
    }
    assert.ok(Date.now() < deadline, 'no job was submitted');
  }
}
