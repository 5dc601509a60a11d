import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { z } from 'zod';
import { QUEUE, startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

const Failure = z.object({
  error: z.object({ code: z.string(), param: z.string().nullable(), message: z.string() }),
});

let redis: TestRedis;
let api: TestApi;
let heldBefore: number;
before(async () => {
  redis = await startRedis();
  api = await startTestApi(redis.url);
});
after(async () => {
  await api.stop();
  await redis.stop();
});
beforeEach(async () => {
  heldBefore = await api.held();
});
afterEach(async () => {
  assert.equal(await api.held(), heldBefore, 'something was enqueued');
});

async function refuse(options: Parameters<TestApi['send']>[1], path = '/v1/jobs') {
  const { status, body, headers } = await api.send(path, options);
  const { error } = Failure.parse(body);
  return { status, headers, ...error };
}

const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const JSON_TYPE = { 'content-type': 'application/json' };

describe('a body that is no request', () => {
  const bodies: [string, string, string | null][] = [
    ['not JSON', '{"input":', null],
    ['empty', '', null],
    ['two values', '{"input":"a"}{}', null],
    ['an array', '[]', null],
    ['a string', '"text"', null],
    ['null', 'null', null],
    ['without input', '{}', 'input'],
    ['nested too deeply', `{"input":"a","parameters":{"x":${nested(33)}}}`, null],
    ['nested a million levels', '['.repeat(1_000_000), null],
    ['a million closing brackets', ']'.repeat(1_000_000), null],
    ['a hundred thousand objects', `{"input":[${'{},'.repeat(100_000)}{}]}`, null],
    ['a hundred thousand fields', `{${'"a":1,'.repeat(100_000)}"b":1}`, null],
    ['an open string full of escapes', `"${'\\"'.repeat(400_000)}`, null],
  ];
  for (const [name, body, param] of bodies) {
    test(`${name} is 400`, async () => {
      const answer = await refuse({ method: 'POST', body, headers: JSON_TYPE });
      assert.deepEqual([answer.status, answer.code], [400, 'invalid_request']);
      assert.equal(answer.param, param);
    });
  }

  test('a wrong content type is 415', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp']) {
      const answer = await refuse({ body: '{"input":"a"}', headers: { 'content-type': type } });
      assert.deepEqual([answer.status, answer.code], [415, 'unsupported_media_type']);
    }
  });

  test('another charset is 415, and utf-8 is not', async () => {
    const headers = (charset: string) => ({
      'content-type': `application/json;charset=${charset}`,
    });
    assert.equal((await refuse({ body: '{}', headers: headers('utf-16') })).status, 415);
    assert.equal((await refuse({ body: '{}', headers: headers('"UTF-8"') })).status, 400);
  });

  test('a content encoding is 415, whatever is inside', async () => {
    const headers = { ...JSON_TYPE, 'content-encoding': 'gzip' };
    assert.equal((await refuse({ body: '{"input":"a"}', headers })).status, 415);
  });

  test('1 MiB + 1 byte is 413, with a length or without', async () => {
    const body = `{"input":"${'a'.repeat(1_048_577 - 12)}"}`;
    assert.equal(Buffer.byteLength(body), 1_048_577);
    for (const headers of [JSON_TYPE, { ...JSON_TYPE, 'content-length': '1048577' }]) {
      const answer = await refuse({ body, headers });
      assert.deepEqual([answer.status, answer.code], [413, 'body_too_large']);
    }
  });

  test('1 MiB to the byte is read', async () => {
    const answer = await refuse({ body: `{"input":"${'a'.repeat(1_048_576 - 12)}"}` });
    assert.deepEqual([answer.status, answer.code], [422, 'text_too_long']);
  });
});

describe('a request that is wrong', () => {
  const pairs = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']));
  const requests: [string, Record<string, unknown>, number, string, string | null][] = [
    ['an unknown field', { input: 'a', inputs: 'b' }, 400, 'invalid_request', 'inputs'],
    ['a webhook to nowhere', { input: 'a', webhook: {} }, 400, 'invalid_request', 'webhook.url'],
    ['a number as input', { input: 5 }, 400, 'invalid_request', 'input'],
    ['null as input', { input: null }, 400, 'invalid_request', 'input'],
    ['no rows', { input: [] }, 400, 'invalid_request', 'input'],
    ['a row that is a number', { input: ['a', 5] }, 400, 'invalid_request', 'input[1]'],
    [
      'an unknown field of a row',
      { input: [{ text: 'a', txt: 'b' }] },
      400,
      'invalid_request',
      'input[0].txt',
    ],
    ['a row without text', { input: { text_pair: 'b' } }, 400, 'invalid_request', 'input.text'],
    [
      'a pair for a model of single texts',
      { input: { text: 'a', text_pair: 'b' } },
      400,
      'invalid_request',
      'input.text_pair',
    ],
    ['empty text', { input: '' }, 422, 'empty_text', 'input'],
    ['white space', { input: [' \n\t '] }, 422, 'empty_text', 'input[0]'],
    ['only control characters', { input: '\u0000\u0007\u001b\r' }, 422, 'empty_text', 'input'],
    ['2,049 rows', { input: Array(2_049).fill('a') }, 413, 'too_many_rows', 'input'],
    ['half a million wrong rows', { input: Array(500_000).fill(1) }, 413, 'too_many_rows', 'input'],
    ['100,001 characters', { input: ['a', 'b'.repeat(100_001)] }, 422, 'text_too_long', 'input[1]'],
    ['an unknown model', { model: 'nope', input: 'a' }, 404, 'model_not_found', 'model'],
    [
      'an unknown version',
      { model: 'tiny-classifier@9', input: 'a' },
      404,
      'model_not_found',
      'model',
    ],
    [
      'a path as model',
      { model: '../tiny-classifier', input: 'a' },
      404,
      'model_not_found',
      'model',
    ],
    [
      'a model of 100 kB',
      { model: 'm'.repeat(100_000), input: 'a' },
      400,
      'invalid_request',
      'model',
    ],
    [
      'a parameter of another task',
      { input: 'a', parameters: { dimensions: 2 } },
      400,
      'invalid_request',
      'parameters.dimensions',
    ],
    [
      'a parameter out of range',
      { input: 'a', parameters: { top_k: 0 } },
      400,
      'invalid_request',
      'parameters.top_k',
    ],
    [
      'more labels than there are',
      { input: 'a', parameters: { top_k: 9 } },
      400,
      'invalid_request',
      'parameters.top_k',
    ],
    [
      'parameters that are a list',
      { input: 'a', parameters: [] },
      400,
      'invalid_request',
      'parameters',
    ],
    ['an unknown priority', { input: 'a', priority: 'urgent' }, 400, 'invalid_request', 'priority'],
    ['a ttl of nothing', { input: 'a', ttl_s: 0 }, 400, 'invalid_request', 'ttl_s'],
    ['a ttl of half a second', { input: 'a', ttl_s: 0.5 }, 400, 'invalid_request', 'ttl_s'],
    ['a timeout of a day', { input: 'a', timeout_s: 86_400 }, 400, 'invalid_request', 'timeout_s'],
    ['17 metadata pairs', { input: 'a', metadata: pairs(17) }, 400, 'invalid_request', 'metadata'],
    [
      'a metadata value that is a number',
      { input: 'a', metadata: { order: 1 } },
      400,
      'invalid_request',
      'metadata.order',
    ],
    [
      'a metadata key of 65 characters',
      { input: 'a', metadata: { ['k'.repeat(65)]: 'v' } },
      400,
      'invalid_request',
      `metadata.${'k'.repeat(65)}`,
    ],
    [
      'a metadata value of 513 characters',
      { input: 'a', metadata: { k: 'v'.repeat(513) } },
      400,
      'invalid_request',
      'metadata.k',
    ],
  ];
  for (const [name, body, status, code, param] of requests) {
    test(`${name} is ${status} ${code}`, async () => {
      const answer = await refuse({ body });
      assert.deepEqual([answer.status, answer.code, answer.param], [status, code, param]);
    });
  }

  test('an error never repeats a text, and cuts a long name short', async () => {
    const answer = await refuse({ body: { input: ['secret text', 5], ['n'.repeat(100_000)]: 1 } });
    assert.ok(JSON.stringify(answer).length < 1_000);
    assert.doesNotMatch(JSON.stringify(answer), /secret/);
  });

  for (const wait of ['abc', '', '0', '61', '-1', '1.5', '1e1', '9999999999', '"x"']) {
    test(`Prefer: wait=${wait} is 400`, async () => {
      const answer = await refuse({ body: { input: 'a' }, headers: { prefer: `wait=${wait}` } });
      assert.deepEqual([answer.status, answer.code], [400, 'invalid_request']);
      assert.equal(answer.param, 'Prefer');
    });
  }

  test('an unknown query parameter is 400', async () => {
    const answer = await refuse({ body: { input: 'a' } }, '/v1/jobs?wait=1');
    assert.deepEqual([answer.status, answer.param], [400, 'wait']);
  });
});

describe('a route or method that does not exist', () => {
  const wrong: [string, string, string][] = [
    ['PUT', '/v1/jobs', 'GET, HEAD, OPTIONS, POST'],
    ['PATCH', '/v1/jobs/job_1', 'DELETE, GET, HEAD, OPTIONS'],
    ['GET', '/v1/jobs/job_1/cancel', 'OPTIONS, POST'],
    ['HEAD', '/v1/jobs/job_1/retry', 'OPTIONS, POST'],
    ['GET', '/predict', 'OPTIONS, POST'],
    ['POST', '/health', 'GET, HEAD, OPTIONS'],
  ];
  for (const [method, path, allow] of wrong) {
    test(`${method} ${path} is 405 with Allow`, async () => {
      const { status, headers } = await api.send(path, { method });
      assert.equal(status, 405);
      assert.equal(headers.get('allow'), allow);
    });
  }

  for (const path of [
    '/v1',
    '/v1/job',
    '/v1/jobs/',
    '/v1/jobs//cancel',
    '/V1/jobs',
    '/v1/jobs/a/b/c',
  ]) {
    test(`GET ${path} is 404`, async () => {
      const answer = await refuse({}, path);
      assert.deepEqual([answer.status, answer.code], [404, 'not_found']);
    });
  }

  test('OPTIONS says what is allowed and opens nothing to other origins', async () => {
    const headers = {
      origin: 'https://elsewhere.example',
      'access-control-request-method': 'POST',
    };
    const answer = await api.send('/v1/jobs', { method: 'OPTIONS', headers });
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get('allow'), 'GET, HEAD, OPTIONS, POST');
    assert.equal(answer.headers.get('access-control-allow-origin'), null);
  });

  test('HEAD answers as GET does, without a body', async () => {
    const { status, body, headers } = await api.send('/v1/jobs', { method: 'HEAD' });
    assert.deepEqual([status, body], [200, '']);
    assert.equal(headers.get('content-type'), 'application/json');
  });
});

describe('the id of a request', () => {
  test('is the client’s own if it is visible ASCII of at most 128 characters', async () => {
    const id = 'req-1!~'.padEnd(128, 'x');
    const { headers } = await api.send('/health', { headers: { 'x-request-id': id } });
    assert.equal(headers.get('x-request-id'), id);
  });

  test('is a new one otherwise', async () => {
    for (const id of ['a b', 'é', 'x'.repeat(129), '']) {
      const { headers } = await api.send('/health', { headers: { 'x-request-id': id } });
      assert.match(headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
    }
  });
});

describe('hostile values in a request that is accepted', () => {
  test('are stored as they are and do nothing', async () => {
    const names = ['meta', 'completed', 'stalled-check', 'a:b:c', '\u0000', '\r\n', 'constructor'];
    const metadata = Object.fromEntries(names.map((name) => [name, name]));
    const before = new Set(await queueKeys());
    const job = await api.submit({
      input: names.map((name) => `${name} x`),
      metadata: { ...metadata, ['x'.repeat(64)]: 'y' },
    });
    assert.deepEqual((await api.get(job.id)).metadata, { ...metadata, ['x'.repeat(64)]: 'y' });
    const made = (await queueKeys()).filter(
      (key) => !before.has(key) && key !== api.keys.expiryTurn,
    );
    const own =
      /:(job_[0-9a-z]{26}|order:infer\.[a-z@0-9-]+|jobs:default|prioritized|marker|id|pc|events)$/;
    assert.ok(made.length > 0);
    for (const key of made) assert.match(key, own);
    await api.send(`/v1/jobs/${job.id}/cancel`, { method: 'POST' });
    assert.equal((await api.get(job.id)).status, 'canceled');
  });

  test('as __proto__ are dropped or refused, and change no object', async () => {
    const refused = await refuse({ body: '{"input":"a","__proto__":{"x":1}}' });
    assert.deepEqual([refused.status, refused.param], [400, '__proto__']);
    const { status, body } = await api.send('/v1/jobs', {
      body: '{"input":"a","metadata":{"__proto__":"x","a":"b"}}',
    });
    assert.equal(status, 202);
    const job = z
      .object({ id: z.string(), metadata: z.record(z.string(), z.string()) })
      .parse(body);
    assert.deepEqual(job.metadata, { a: 'b' });
    assert.equal(Reflect.get({}, 'x'), undefined);
    await api.send(`/v1/jobs/${job.id}/cancel`, { method: 'POST' });
  });

  test('lose control characters and lone surrogates, and keep tab and newline', async () => {
    const body = '{"input":"a\\u0000\\ud800b\\tc\\nd\\u001b\\r\\ufeff\\ud83d\\ude00"}';
    const { body: answer } = await api.send('/v1/jobs', { body });
    const { id } = z.object({ id: z.string() }).parse(answer);
    const data = await api.redis.hget(api.keys.bull(QUEUE, id), 'data');
    const { rows } = z
      .object({ rows: z.array(z.object({ text: z.string() })) })
      .parse(JSON.parse(data ?? ''));
    assert.equal(rows[0]?.text, 'a\ufffdb\tc\nd\ufeff\u{1f600}');
    await api.send(`/v1/jobs/${id}/cancel`, { method: 'POST' });
  });
});

async function queueKeys(): Promise<string[]> {
  return api.redis.keys(`${api.keys.prefix}*`);
}
