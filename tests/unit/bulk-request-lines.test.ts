import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { BatchEndpoint } from '@headrace/shared/bulk/batch.ts';
import { oneModel } from '@headrace/shared/bulk/one-model.ts';
import { createRequestLines } from '@headrace/shared/bulk/request-lines.ts';
import { readModelsDir } from '@headrace/shared/manifests.ts';
import { createModelCatalogue, type ModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import { TINY_MODELS } from '../helpers/api.ts';

let models: ModelCatalogue;
before(async () => {
  models = createModelCatalogue((await readModelsDir(TINY_MODELS)).folders, '');
});

const SECRET = 'a text that nobody else may see';

function lineOf(bytes: Uint8Array | null) {
  return { number: 7, startByte: 0, endByte: bytes?.length ?? 0, bytes, problem: null };
}

function parse(
  value: unknown,
  endpoint: BatchEndpoint = '/v1/jobs',
  settled: string | null = null,
) {
  const bytes = value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value));
  const resolve = oneModel(models, () => settled);
  const lines = createRequestLines({ endpoint, resolve });
  return lines.read(lineOf(value === null ? null : bytes));
}

function request(body: object, more: object = {}) {
  return { custom_id: 'a', method: 'POST', url: '/v1/jobs', body, ...more };
}

const JOB = { model: 'tiny-classifier', input: SECRET };
const EMBEDDING = { model: 'tiny-embedder', input: [SECRET, 'b'], dimensions: 2 };

describe('a request of a batch', () => {
  test('becomes rows and the parameters of its task', () => {
    const parsed = parse(request({ ...JOB, parameters: { top_k: 2 }, metadata: { a: 'b' } }));
    assert.ok('rows' in parsed);
    assert.deepEqual(parsed.origin, { line: 7, customId: 'a' });
    assert.equal(parsed.model, 'tiny-classifier@1');
    assert.deepEqual(parsed.rows, [{ text: SECRET, text_pair: null }]);
    assert.equal(Object.entries(parsed.parameters).find(([name]) => name === 'top_k')?.[1], 2);
    assert.deepEqual(parsed.metadata, { a: 'b' });
  });

  test('for embeddings takes what the endpoint takes', () => {
    const url = '/v1/embeddings';
    const parsed = parse(
      request({ ...EMBEDDING, user: 'u', encoding_format: 'base64' }, { url }),
      url,
    );
    assert.ok('rows' in parsed);
    assert.equal(parsed.rows.length, 2);
  });

  const url = '/v1/embeddings';
  const wrong: [string, unknown, string | null, BatchEndpoint?, string?][] = [
    ['too long', null, null],
    ['of invalid UTF-8', Buffer.from([0x22, 0xc3, 0x28, 0x22]), null],
    ['that is not JSON', Buffer.from(`{"a": ${SECRET}`), null],
    ['that is nested too deeply', Buffer.from('['.repeat(10_000)), null],
    ['that is a list', [1], null],
    ['without an id', { method: 'POST', url: '/v1/jobs', body: JOB }, 'custom_id'],
    ['with an empty id', request(JOB, { custom_id: '' }), 'custom_id'],
    ['with a number as id', request(JOB, { custom_id: 1 }), 'custom_id'],
    ['with too long an id', request(JOB, { custom_id: 'x'.repeat(513) }), 'custom_id'],
    ['with another method', request(JOB, { method: 'GET' }), 'method'],
    ['for another endpoint', request(JOB, { url: '/v1/embeddings' }), 'url'],
    ['with an unknown field', request(JOB, { more: 1 }), 'more'],
    ['without a body', request(JOB, { body: undefined }), 'body'],
    ['without input', request({ model: 'tiny-classifier' }), 'body.input'],
    ['with an unknown field in its body', request({ ...JOB, more: 1 }), 'body.more'],
    ['with an empty text', request({ ...JOB, input: ' \u0001' }), 'input'],
    ['with a text that is too long', request({ ...JOB, input: 'x'.repeat(100_001) }), 'input'],
    ['with too many rows', request({ ...JOB, input: Array(2_049).fill('a') }), 'input'],
    ['for an unknown model', request({ ...JOB, model: SECRET }), 'body.model'],
    ['for another model', request(JOB), 'body.model', '/v1/jobs', 'tiny-embedder@1'],
    [
      'with a wrong parameter',
      request({ ...JOB, parameters: { top_k: 0 } }),
      'body.parameters.top_k',
    ],
    ['for labels at the endpoint of embeddings', request(JOB, { url }), 'body.model', url],
    [
      'with too many dimensions',
      request({ ...EMBEDDING, dimensions: 99 }, { url }),
      'parameters.dimensions',
      url,
    ],
  ];
  for (const [what, value, param, endpoint, settled] of wrong) {
    test(`${what} is refused, and its text is not repeated`, () => {
      const parsed = parse(value, endpoint, settled);
      assert.ok('error' in parsed, JSON.stringify(parsed));
      assert.equal(parsed.error.param, param);
      assert.ok(!JSON.stringify(parsed.error).includes(SECRET));
      assert.equal(parsed.origin.line, 7);
    });
  }

  test('names its id even when it is refused for its body', () => {
    const parsed = parse(request({}));
    assert.equal(parsed.origin.customId, 'a');
    const resolve = oneModel(models, () => null);
    const { idOf } = createRequestLines({ endpoint: '/v1/jobs', resolve });
    assert.equal(idOf(lineOf(Buffer.from(JSON.stringify(request({}))))), 'a');
    assert.equal(idOf(lineOf(Buffer.from('no'))), null);
  });
});
