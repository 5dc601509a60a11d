import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { type Client, createClient, HeadraceError } from '@headrace/client';
import { startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

let redis: TestRedis;
let api: TestApi;
let client: Client;
before(async () => {
  redis = await startRedis();
  api = await startTestApi(redis.url);
  client = createClient({ baseUrl: 'http://headrace', fetch: checkedFetch, apiKey: 'none' });
});
after(async () => {
  await api.stop();
  await redis.stop();
});

/** Asks the API without a port, and holds every answer to its OpenAPI document. */
async function checkedFetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const url = new URL(String(input));
  const response = await api.api.app.request(`${url.pathname}${url.search}`, init);
  const method = (init?.method ?? 'GET').toLowerCase();
  const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? '';
  const text = await response.clone().text();
  const body: unknown = type === 'application/json' ? JSON.parse(text) : text;
  const operation = `${method} ${url.pathname}`;
  const isKnown = api.contract.operations.some((each) => fits(each, operation));
  assert.ok(isKnown, `${operation} is not in the document`);
  api.contract.check({ method, path: url.pathname, status: response.status, type, body });
  return response;
}

/** `post /v1/jobs/{id}` against `post /v1/jobs/job_1`. */
function fits(pattern: string, operation: string): boolean {
  return new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(operation);
}

function isRefused(code: string, param?: string) {
  return (error: unknown) => {
    assert.ok(error instanceof HeadraceError, `${error}`);
    assert.equal(error.code, code);
    if (param !== undefined) assert.equal(error.param, param);
    return true;
  };
}

async function contentOf(id: string, range = {}): Promise<string> {
  const { bytes, stream } = await client.files.content(id, range);
  const content = await buffer(stream);
  assert.equal(content.length, bytes);
  return content.toString();
}

describe('the client', () => {
  test('has callbacks tested, logged, sent again and signed', async () => {
    const { webhooks } = client;
    const { secret, ...made } = await webhooks.rotateSecret();
    assert.match(secret, /^whsec_/);
    assert.deepEqual(await webhooks.secrets(), [made]);
    await webhooks.rotateSecret({ overlapS: 60 });
    assert.equal((await webhooks.secrets()).length, 2);
    const { id } = await webhooks.test('https://example.com/');
    assert.equal((await webhooks.delivery(id)).status, 'pending');
    assert.equal((await webhooks.deliveries({ status: 'pending' })).data[0]?.id, id);
    assert.equal((await webhooks.redeliver(id)).id, id);
    assert.deepEqual(await webhooks.endpoints(), []);
    await assert.rejects(webhooks.enable('whe_x'), isRefused('not_found'));
    await assert.rejects(webhooks.test('http://10.0.0.1/'), isRefused('invalid_request', 'url'));
  });

  test('submits jobs, waits for them, lists, cancels and retries them', async () => {
    const job = await client.jobs.submit({ input: ['a', 'b'], metadata: { a: 'b' } });
    assert.equal(job.status, 'queued');
    const waiting = client.jobs.wait(job.id);
    await api.finish(job);
    assert.equal((await waiting).status, 'succeeded');
    assert.equal((await client.jobs.list({ limit: 1, status: 'succeeded' })).data[0]?.id, job.id);
    await assert.rejects(client.jobs.cancel(job.id), isRefused('job_already_finished'));
    const second = await client.jobs.submit({ input: 'a', model: 'tiny-classifier' });
    assert.equal((await client.jobs.cancel(second.id)).status, 'canceled');
    assert.equal((await client.jobs.retry(second.id)).retry_of, second.id);
    await assert.rejects(client.jobs.get('job_x'), isRefused('not_found'));
    const wrong = client.jobs.submit({ input: 'a', ttl_s: 0 });
    await assert.rejects(wrong, isRefused('invalid_request', 'ttl_s'));
  });

  test('uploads whatever gives bytes, and reads them whole, in part and never again', async () => {
    const pieces = ['one ', 'two ', 'three'].map((text) => Buffer.from(text));
    const sources = [
      new Blob(pieces),
      Readable.from(pieces),
      Readable.toWeb(Readable.from(pieces)),
      () => Readable.from(pieces),
    ];
    const progress: number[] = [];
    for (const [i, content] of sources.entries()) {
      const filename = `"${i}"\r\n.csv`;
      const onProgress = i === 0 ? undefined : (bytes: number) => progress.push(bytes);
      const purpose = 'user_data';
      const file = await client.files.upload({ content, filename, purpose, onProgress });
      assert.equal(file.bytes, 13);
      assert.equal(file.filename, `%22${i}%22%0D%0A.csv`);
      assert.equal(await contentOf(file.id), 'one two three');
      assert.equal(await contentOf(file.id, { start: 4, end: 7 }), 'two');
      assert.equal(await contentOf(file.id, { start: 8 }), 'three');
      await client.files.delete(file.id);
      await assert.rejects(client.files.get(file.id), isRefused('not_found'));
    }
    assert.deepEqual(progress, [4, 8, 13, 4, 8, 13, 4, 8, 13]);
  });

  test('creates and steers batches, and reads their results', async () => {
    const upload = { content: new Blob(['a\nb\n']), filename: 'a.txt', purpose: 'user_data' };
    const file = await client.files.upload({
      ...upload,
      purpose: 'user_data',
      expiresAfterS: 3_600,
    });
    assert.ok(file.expires_at - file.created_at === 3_600);
    const documents = { format: 'text' } as const;
    const request = { input_file_id: file.id, model: 'tiny-classifier', documents };
    const { id } = await client.batches.create(request);
    assert.equal((await client.batches.get(id)).status, 'validating');
    assert.equal((await client.batches.list({ limit: 1 })).data[0]?.id, id);
    assert.ok((await client.batches.pause(id)).paused);
    assert.ok(!(await client.batches.resume(id)).paused);
    for await (const page of client.batches.results(id)) assert.fail(JSON.stringify(page));
    await assert.rejects(client.batches.retry(id), isRefused('batch_not_finished'));
    assert.equal((await client.batches.cancel(id)).status, 'cancelling');
    const none = client.batches.create({ ...request, completion_window: '8d' });
    await assert.rejects(none, isRefused('invalid_request', 'completion_window'));
  });

  test('of all that is wrong with a batch, the API names the input last', async () => {
    // The CLI lets a request be checked this way before it uploads anything.
    const input_file_id = `file-${'0'.repeat(26)}`;
    const good = {
      input_file_id,
      model: 'tiny-classifier',
      documents: { format: 'text' },
    } as const;
    await assert.rejects(client.batches.create(good), isRefused('not_found', 'input_file_id'));
    const wrong = [
      [{ ...good, model: 'nope' }, 'model_not_found', 'model'],
      [{ ...good, parameters: { top_k: 0 } }, 'invalid_request', 'parameters.top_k'],
      [{ ...good, completion_window: '8d' }, 'invalid_request', 'completion_window'],
    ] as const;
    for (const [request, code, param] of wrong) {
      await assert.rejects(client.batches.create(request), isRefused(code, param));
    }
  });

  test('tells about the models', async () => {
    const models = await client.models.list();
    assert.ok(models.some((model) => model.id === 'tiny-classifier' && model.default));
    assert.deepEqual((await client.models.get('tiny-classifier@1')).labels, models[0]?.labels);
    await assert.rejects(client.models.get('nope'), isRefused('model_not_found', 'model'));
    const wrong = client.embed({ model: 'tiny-classifier', input: 'a' });
    await assert.rejects(wrong, isRefused('invalid_request', 'model'));
  });
});
