import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { startTestApi, type TestApi, TINY_MODELS } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

const Labels = z.array(z.object({ label: z.string(), score: z.number() }));
const Details = z.looseObject({
  card: z.string().nullable(),
  golden: z.array(
    z.object({
      text: z.string(),
      text_pair: z.string().nullable(),
      expected: z.array(
        z.object({
          variant: z.string(),
          labels: Labels.nullable(),
          embedding: z.array(z.number()).nullable(),
        }),
      ),
    }),
  ),
});

let redis: TestRedis;
let folder: string;
let api: TestApi;
before(async () => {
  redis = await startRedis();
  folder = mkdtempSync(join(tmpdir(), 'headrace-cards-'));
  for (const name of ['tiny-classifier', 'tiny-embedder', 'tiny-multilabel', 'tiny-pairs']) {
    mkdirSync(join(folder, name, '1'), { recursive: true });
    cpSync(join(TINY_MODELS, name, '1/model.json'), join(folder, name, '1/model.json'));
  }
  const place = (name: string, file = 'README.md') => join(folder, name, '1', file);
  writeFileSync(place('tiny-classifier'), `-${'é'.repeat(40_000)}`);
  writeFileSync(join(folder, 'secret.md'), 'secret');
  symlinkSync(join(folder, 'secret.md'), place('tiny-embedder'));
  writeFileSync(place('tiny-pairs', 'card.md'), '# pairs\n');
  symlinkSync('card.md', place('tiny-pairs'));
  api = await startTestApi(redis.url, { HEADRACE_MODELS_DIR: folder });
});
after(async () => {
  await api.stop();
  await redis.stop();
  rmSync(folder, { recursive: true });
});

const details = async (name: string) => Details.parse((await api.send(`/v1/models/${name}`)).body);

describe('the card of a model', () => {
  test('is README.md of its folder, and null where there is none', async () => {
    assert.equal((await details('tiny-pairs')).card, '# pairs\n');
    assert.equal((await details('tiny-multilabel@1')).card, null);
  });

  test('is cut at a character after 64 KiB, and says so', async () => {
    const [card, note] = ((await details('tiny-classifier')).card ?? '').split('\n\n');
    assert.equal(card, `-${'é'.repeat(32_767)}`);
    assert.equal(note, '*The card goes on: only its first 64 KiB are shown.*\n');
  });

  test('is never what a link out of the folder leads to', async () => {
    assert.equal((await details('tiny-embedder')).card, null);
  });

  test('is not in the list', async () => {
    const { body } = await api.send('/v1/models');
    assert.doesNotMatch(JSON.stringify(body), /"card"|"golden"/);
  });
});

describe('the golden rows of a model', () => {
  test('say the label that a caller gets, and its score', async () => {
    const { golden } = await details('tiny-classifier');
    assert.deepEqual([golden.length, golden[0]?.text_pair], [2, null]);
    const [{ variant, labels, embedding } = fail()] = golden[0]?.expected ?? [];
    assert.deepEqual([variant, labels?.length, embedding], ['fp32', 1, null]);
    // Softmax over [-0.538542, 0.508594, 0.669792].
    const score =
      Math.exp(0.669792) / (Math.exp(-0.538542) + Math.exp(0.508594) + Math.exp(0.669792));
    assert.ok(Math.abs((labels?.[0]?.score ?? 0) - score) < 1e-6);
  });

  test('say all labels of a multi-label model, and the second text of a pair', async () => {
    const [several] = (await details('tiny-multilabel')).golden;
    assert.equal(several?.expected[0]?.labels?.length, 4);
    const [pair] = (await details('tiny-pairs')).golden;
    assert.equal(typeof pair?.text_pair, 'string');
  });

  test('say how a vector begins', async () => {
    const [row] = (await details('tiny-embedder')).golden;
    assert.equal(row?.expected[0]?.embedding?.[2], Math.fround(-0.734217));
  });
});

function fail(): never {
  return assert.fail('no golden answer');
}
