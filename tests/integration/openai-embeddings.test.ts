import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import OpenAI from 'openai';
import { createTokenizer } from '../../apps/worker/src/inference/tokenizer/tokenizer.ts';
import { startTestApi, TINY_MODELS } from '../helpers/api.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { startRedis } from '../helpers/redis.ts';

const MODEL = 'tiny-embedder';
const TEXT = 'the cat sat on the mat';

let system: BulkSystem;
before(async () => {
  system = await startBulkSystem();
});
after(() => system.stop());

type Params = OpenAI.EmbeddingCreateParams;

/** As the client asks by default, with what it makes of the base64 that it then gets. */
async function vectors(input: Params['input'], more: Partial<Params> = {}): Promise<number[][]> {
  const { data } = await system.client.embeddings.create({ model: MODEL, input, ...more });
  return data.map(({ embedding }) => embedding);
}

async function refused(body: Record<string, unknown>) {
  const response = await fetch(`${system.apiUrl}/v1/embeddings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, ...body }),
  });
  const { error } = JSON.parse(await response.text());
  return { status: response.status, code: error.code, param: error.param, message: error.message };
}

/** With the special tokens of the model. */
function idsOf(text: string): number[] {
  const json = readFileSync(join(TINY_MODELS, 'tiny-embedder', '1', 'tokenizer.json'), 'utf8');
  const tokenizer = createTokenizer(json, { wantsTypeIds: false });
  const { encodings } = tokenizer.encode({ text, text_pair: null }, 32, 'error');
  return [...(encodings[0]?.ids ?? [])];
}

describe('POST /v1/embeddings, through the official client', () => {
  test('embeds a text, as floats and as base64', async () => {
    const answer = await system.client.embeddings.create({ model: MODEL, input: TEXT });
    assert.equal(answer.model, 'tiny-embedder@1');
    assert.equal(answer.usage.total_tokens, idsOf(TEXT).length);
    const [byDefault] = await vectors(TEXT);
    const [floats] = await vectors(TEXT, { encoding_format: 'float' });
    assert.deepEqual(byDefault, floats);
    const job = await fetch(`${system.apiUrl}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=30' },
      body: JSON.stringify({ model: MODEL, input: TEXT }),
    });
    assert.deepEqual(floats, JSON.parse(await job.text()).output[0].embedding);
  });

  test('embeds 2,048 texts at once, in their order', async () => {
    const texts = Array.from({ length: 2_048 }, (_, i) => `the cat number ${i % 16}`);
    const all = await vectors(texts);
    assert.equal(all.length, 2_048);
    const some = await vectors(texts.slice(0, 16));
    for (const [i, vector] of all.entries()) assert.deepEqual(vector, some[i % 16]);
  });

  test('takes token ids, with or without the special tokens', async () => {
    const framed = idsOf(TEXT);
    const bare = framed.slice(1, -1);
    const [vector] = await vectors(TEXT);
    assert.deepEqual(await vectors(bare), [vector]);
    assert.deepEqual(await vectors([bare, framed]), [vector, vector]);
  });

  test('cuts vectors to the dimensions that are asked for', async () => {
    const [short = []] = await vectors(TEXT, { dimensions: 3 });
    assert.equal(short.length, 3);
  });

  test('says what is wrong, and where', async () => {
    assert.deepEqual(await refused({ input: [TEXT, ''] }), {
      ...{ status: 422, code: 'empty_text', param: 'input[1]' },
      message: 'input[1] is empty',
    });
    assert.deepEqual(await refused({ input: [[1], [99_999_999]] }), {
      ...{ status: 422, code: 'tokenizer_failed', param: 'input[1]' },
      message: `input[1]: ids[0] is 99999999, but the vocabulary ends at ${vocabularyEnd()}.`,
    });
    assert.equal((await refused({ input: [] })).message, 'input has no rows');
    assert.equal((await refused({ input: [[]] })).message, 'input[0] is empty');
    assert.equal((await refused({ input: { a: 1 } })).param, 'input');
    assert.equal((await refused({ input: ['a', 1] })).param, 'input[1]');
    assert.equal((await refused({ input: [1, -1] })).param, 'input[0]');
    assert.equal((await refused({ input: Array(2_049).fill('a') })).status, 413);
    assert.equal((await refused({ input: TEXT, dimensions: 10_000 })).param, 'dimensions');
    assert.equal((await refused({ input: TEXT, encoding_format: 'int8' })).status, 400);
    assert.equal((await refused({ input: TEXT, model: 'tiny-classifier' })).param, 'model');
    assert.equal((await refused({ input: TEXT, model: 'gpt' })).code, 'model_not_found');
    const long = await refused({ input: 'the cat '.repeat(100), overflow: 'error' });
    assert.equal(long.code, 'text_too_long');
  });
});

function vocabularyEnd(): number {
  const json = readFileSync(join(TINY_MODELS, 'tiny-embedder', '1', 'tokenizer.json'), 'utf8');
  const ids: number[] = Object.values(JSON.parse(json).model.vocab);
  return Math.max(...ids);
}

describe('POST /v1/embeddings without a worker', () => {
  test('names the job when the time is up, and the client does not submit it again', async () => {
    const redis = await startRedis();
    const api = await startTestApi(redis.url, { HEADRACE_MAX_WAIT_S: '1' });
    let requests = 0;
    const client = new OpenAI({
      ...{ apiKey: 'none', baseURL: 'http://headrace/v1' },
      async fetch(url, init) {
        requests += 1;
        return await api.api.app.request(String(url), init);
      },
    });
    try {
      const asked = client.embeddings.create({ model: MODEL, input: TEXT });
      const error = await asked.then(
        () => assert.fail('it was answered'),
        (e: unknown) => e,
      );
      assert.ok(error instanceof OpenAI.APIError);
      assert.equal(error.status, 504);
      assert.equal(requests, 1);
      const { job_id } = error.error as { job_id: string };
      assert.equal((await api.get(job_id)).status, 'queued');
    } finally {
      await api.stop();
      await redis.stop();
    }
  });

  test('cancels the job of a caller who has gone', async () => {
    const redis = await startRedis();
    const api = await startTestApi(redis.url);
    try {
      const gone = new AbortController();
      const body = { model: MODEL, input: TEXT };
      const asked = api.send('/v1/embeddings', { body, signal: gone.signal });
      while ((await api.held()) === 0) await new Promise((resolve) => setImmediate(resolve));
      gone.abort();
      await asked;
      const { body: page } = await api.send('/v1/jobs');
      const [job] = (page as { data: { status: string }[] }).data;
      assert.equal(job?.status, 'canceled');
    } finally {
      await api.stop();
      await redis.stop();
    }
  });
});
