import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import {
  createTokenizer,
  type Tokenizer,
} from '../../apps/worker/src/inference/tokenizer/tokenizer.ts';
import { launchBrowser, NO_CHROMIUM, openConsole } from '../helpers/browser.ts';
import {
  type ApiProcess,
  type ServiceProcess,
  startApi,
  startWorker,
} from '../helpers/processes.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const MODELS = fileURLToPath(new URL('../../models', import.meta.url));
const MAX_TOKENS = 256;
/** Halving alone would take so many looks, for words and for characters. */
const MOST_JOBS = 2 * Math.log2(16 * MAX_TOKENS);

const WORDS = 'The delivery was unbelievably late; nevertheless, everybody thanked the courier. ';
/** Each has far more than 256 tokens, or more characters than are looked at. */
const TEXTS: Record<string, string> = {
  'of words': WORDS.repeat(80),
  'with emoji and combining characters':
    'Ve\u0301ry go\u0308od 👩‍👩‍👧‍👦👍🏽 naïve, ❤️ o\u0336k\u0336.\u0007 '.repeat(80),
  'of one very long word': 'a'.repeat(20_000),
  'with a long word where it is cut': `${'good '.repeat(250)}supercalifragilisticexpialidocious end`,
  'without blanks': '配送很慢，但产品很好。'.repeat(200),
  'of one word with hyphens': 're-delivered-'.repeat(700),
  'of emoji alone': '👩‍👩‍👧‍👦'.repeat(2_000),
};

describe('where a text was cut', { skip: NO_CHROMIUM }, () => {
  let redis: TestRedis;
  let api: ApiProcess;
  let worker: ServiceProcess;
  let browser: Browser;
  let tokenizer: Tokenizer;

  before(async () => {
    redis = await startRedis();
    const env = {
      REDIS_URL: redis.url,
      HEADRACE_PREFIX: testPrefix(),
      HEADRACE_MODELS_DIR: MODELS,
      HEADRACE_MODELS: 'minilm',
      HEADRACE_DEFAULT_MODEL: 'minilm',
      HEADRACE_ENGINES: '1',
      // The tokenizer is real; what the model would answer is not looked at.
      HEADRACE_ENGINE: 'null',
      HEADRACE_BLOBS: redis.folder,
    };
    [api, worker, browser] = await Promise.all([
      startApi({ env }),
      startWorker({ env }),
      launchBrowser(),
    ]);
    const json = readFileSync(join(MODELS, 'minilm/1/tokenizer.json'), 'utf8');
    tokenizer = createTokenizer(json, { wantsTypeIds: false });
  });
  after(async () => {
    await Promise.all([browser?.close(), api?.stop(), worker?.stop()]);
    await redis.stop();
  });

  const encode = (text: string) =>
    tokenizer.encode({ text, text_pair: null }, MAX_TOKENS, 'truncate');

  test('is found to the character, with few jobs', async (t) => {
    const { page } = await openConsole(t, browser, { url: api.url, place: 'try' });
    let jobs = 0;
    page.on('request', (request) => {
      if (request.method() === 'POST' && request.url().endsWith('/v1/jobs')) jobs += 1;
    });
    for (const [what, text] of Object.entries(TEXTS)) {
      await page.getByLabel('Text', { exact: true }).fill(text);
      await page.getByRole('button', { name: 'Run' }).click();
      jobs = 0;
      await page.getByRole('button', { name: 'Show where it was cut' }).click();
      await page.getByText(/^The model saw/).waitFor();
      const { seen, rest } = await shown(page);
      t.diagnostic(`${what}: ${seen.length} of ${text.length}, by ${jobs} jobs`);
      assert.ok(jobs <= MOST_JOBS, `${what}: ${jobs} jobs`);
      const whole = encode(seen + rest);
      assert.ok(whole.truncated && !encode(seen).truncated, what);
      assert.deepEqual(encode(seen).encodings, whole.encodings, what);
      const [blanks = ''] = /^\s*/.exec(rest) ?? [];
      const [next] = new Intl.Segmenter('en').segment(rest.slice(blanks.length));
      assert.ok(encode(seen + blanks + next?.segment).truncated, what);
    }
  });
});

/** What is marked as cut, and what is before it. */
async function shown(page: Page): Promise<{ seen: string; rest: string }> {
  const box = page.locator('bdi:has(> mark.cut)');
  const whole = (await box.textContent()) ?? '';
  const rest = (await box.locator('mark').textContent()) ?? '';
  return { seen: whole.slice(0, whole.length - rest.length), rest };
}
