import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createClient } from '@headrace/client';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser, NO_CHROMIUM, openConsole } from '../helpers/browser.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { startApi } from '../helpers/processes.ts';

const ADMIN_KEY = 'the-admin-key-of-the-browser-tests-0001';
const MODELS = fileURLToPath(new URL('../../models', import.meta.url));
/** Nothing listens there. */
const DEAF_PORT = '9';
const MARKUP = '<script>alert(1)</script> <img src=x onerror=alert(1)> </style>"\' {{1}}';
const HOSTILE = `${MARKUP} \u202Eevil \u0301\u0301`;
/** As long as a text may be. */
const LONG = HOSTILE.padEnd(100_000, 'x');
/** A picture: its first bytes, and no end of a Parquet file. */
const PNG = Buffer.from('89504e470d0a1a0a0000000d494844520000000100000001', 'hex');

type OpenOptions = Partial<Parameters<typeof openConsole>[2]>;

describe('what goes wrong in the console', { skip: NO_CHROMIUM }, () => {
  let system: BulkSystem;
  let api: { url: string; stop(): Promise<unknown> };
  let browser: Browser;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'headrace-browser-'));
    const env = {
      HEADRACE_ADMIN_KEY: ADMIN_KEY,
      HEADRACE_MODELS_DIR: MODELS,
      HEADRACE_MODELS: 'minilm',
      HEADRACE_DEFAULT_MODEL: 'minilm',
      HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
      HEADRACE_WEBHOOK_PORTS: DEAF_PORT,
      HEADRACE_DRAIN_S: '0',
    };
    [system, browser] = await Promise.all([startBulkSystem(env), launchBrowser()]);
    api = system.api;
  });
  after(async () => {
    await Promise.all([browser?.close(), api?.stop(), system?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (t: TestContext, place: string, options: OpenOptions = {}) =>
    openConsole(t, browser, { url: system.apiUrl, place, apiKey: ADMIN_KEY, ...options });
  const client = () => createClient({ baseUrl: system.apiUrl, apiKey: ADMIN_KEY });

  function fileOf(name: string, content: string | Uint8Array): string {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  }

  async function choose(page: Page, path: string): Promise<void> {
    await page.locator('input[type=file]').setInputFiles(path);
    await page.getByRole('button', { name: 'Check first' }).waitFor();
  }

  test('files that are not what their names say are explained, and make room for others', async (t) => {
    const { page } = await open(t, 'batches/new');
    await choose(page, fileOf('table.csv', PNG));
    await page.getByText('table.csv does not look like text or Parquet').waitFor();
    await page.getByRole('button', { name: 'Another file' }).click();
    await choose(page, fileOf('photo.parquet', PNG));
    await page.getByText('photo.parquet does not look like text or Parquet').waitFor();
    await page.getByRole('button', { name: 'Check first' }).click();
    await page.getByText('The file does not end as a Parquet file does.').waitFor();
    await page.getByRole('button', { name: 'Another file' }).click();
    await choose(page, fileOf('cut.parquet', 'PAR1 and no more'));
    await page.getByText('cut.parquet cannot be read as Parquet here.').waitFor();
    await page.getByRole('button', { name: 'Another file' }).click();
    const path = fileOf('good.csv', 'text\ngood\n');
    await choose(page, path);
    const later = new Date(Date.now() + 60_000);
    utimesSync(path, later, later);
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByText('The file was changed or removed since it was chosen.').waitFor();
  });

  test('lines that are broken, and a column that ends, fail alone and say where', async (t) => {
    const { page } = await open(t, 'batches/new');
    const lines = [
      '{"id":"a","text":"good"}',
      '{"id":"b","text":"cut of',
      '["id","text"]',
      '{"id":"d","text":"good"}',
      ...Array.from({ length: 300 }, (_, i) => `{"id":"e${i}","text":"good ${i}"}`),
      '{"id":"f"}',
      '{"id":"g","text":7}',
    ];
    await choose(page, fileOf('lines.jsonl', lines.join('\n')));
    await page.getByText('Of the first 5 lines, 2 are no JSON objects.').waitFor();
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('status').getByText('completed').waitFor();
    await page.getByText('306 of 306').waitFor();
    const failed = page.getByRole('region', { name: 'Rows that failed' });
    await failed.getByRole('row').nth(4).waitFor();
    const rows = (await failed.getByRole('row').all()).slice(1);
    const texts = rows.map((row) => row.getByRole('cell').allInnerTexts());
    assert.deepEqual(await Promise.all(texts), [
      ['2', '–', 'the line is not valid JSON', 'invalid_request'],
      ['3', '–', 'the line is not a JSON object', 'invalid_request'],
      ['305', 'f', 'text: is missing', 'invalid_request'],
      ['306', 'g', 'text: is not a text', 'invalid_request'],
    ]);
  });

  test('a batch that goes while its page is open', async (t) => {
    const content = new Blob(['good\n'.repeat(20)]);
    const file = await client().files.upload({ content, filename: 'a.txt', purpose: 'user_data' });
    const documents = { format: 'text' } as const;
    const request = { input_file_id: file.id, model: 'minilm', documents };
    const { id } = await client().batches.create(request);
    for await (const _ of client().batches.watch(id));
    const { page } = await open(t, `batches/${id}`, { refusals: [404] });
    await page.getByRole('button', { name: 'Results' }).waitFor();
    const { output_file_id } = await client().batches.get(id);
    await client().files.delete(output_file_id ?? '');
    await page.getByRole('button', { name: 'Results' }).click();
    await page.getByText('It could not be downloaded').waitFor();
    process.kill(system.worker.pid, 'SIGSTOP');
    t.after(() => process.kill(system.worker.pid, 'SIGCONT'));
    const other = await client().batches.create(request);
    await page.goto(`${system.apiUrl}/#/batches/${other.id}`);
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    await forget(other.id);
    await page.getByText('There is no such batch any more.').waitFor();
  });

  test('a key that ends: what was typed is there when one has signed in anew', async (t) => {
    const { page } = await open(t, 'webhooks', { apiKey: null, refusals: [401] });
    const key = page.getByLabel('API key');
    const signIn = page.getByRole('button', { name: 'Sign in' });
    await key.fill('\u202Eключ');
    await signIn.click();
    await page.getByText('This key is not one').waitFor();
    const expires_at = Math.floor(Date.now() / 1000) + 3;
    const short = await client().keys.create({ name: 'short', scopes: ['webhooks'], expires_at });
    await key.fill(short.secret);
    await signIn.click();
    const url = page.getByLabel('URL');
    await url.fill(`http://127.0.0.1:${DEAF_PORT}/typed`);
    await page.getByText('it has expired, or it was revoked').waitFor();
    assert.equal(await url.isVisible(), false);
    await key.fill(ADMIN_KEY);
    await signIn.click();
    assert.equal(await url.inputValue(), `http://127.0.0.1:${DEAF_PORT}/typed`);
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.getByRole('heading', { name: /^Delivery/ }).waitFor();
  });

  test('an API that is down: what is asked waits in the form until it is back', async (t) => {
    const { page } = await open(t, 'try', { refusals: [0] });
    await page.getByLabel('Text', { exact: true }).fill('good');
    const { port } = new URL(system.apiUrl);
    await api.stop();
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByText('It was not run: the API does not answer.').waitFor();
    api = await startApi({ env: { ...system.env, PORT: port } });
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByText('384 dimensions').waitFor();
    await page.getByText('Trying again until it does.').waitFor({ state: 'detached' });
  });

  test('an answer of more than 10 MB is shown in part, and saved whole', async (t) => {
    const input = Array.from({ length: 2_048 }, (_, i) => `text ${i}`);
    const { id } = await client().jobs.submit({ model: 'minilm', input });
    await client().jobs.wait(id);
    const { page } = await open(t, `jobs/${id}`);
    await page.getByText('20 of 2,048 rows').waitFor();
    await page.getByRole('button', { name: 'Show more rows' }).click();
    await page.getByText('120 of 2,048 rows').waitFor();
    await page.getByRole('button', { name: 'Show as JSON' }).click();
    await page.getByText(/^The first 100,000 of [\d,]+ characters/).waitFor();
    assert.ok(Number(await page.evaluate('document.body.textContent.length')) < 300_000);
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save as a file' }).click();
    const saved = readFileSync(await (await download).path(), 'utf8');
    assert.ok(saved.length > 10_000_000, `${saved.length} characters`);
    assert.equal(JSON.parse(saved).output.length, 2_048);
  });

  test('text that is not meant well, typed and sent, is text in every place', async (t) => {
    const viewport = { width: 380, height: 800 };
    const { page } = await open(t, 'try', { viewport, refusals: [400, 404, 413, 422, 431] });
    const text = page.getByLabel('Text', { exact: true });
    const run = page.getByRole('button', { name: 'Run' });
    await text.fill(LONG);
    await run.click();
    await page.getByText('384 dimensions').waitFor();
    await page.getByText('Show where it was cut').waitFor();
    await expectHarmless(page, 'try it');
    await text.fill(`${LONG}!`);
    await run.click();
    await page.getByText('100001 characters').waitFor();
    assert.equal((await text.inputValue()).length, LONG.length + 1);
    await expectHarmless(page, 'a text that is too long');

    await go(page, 'keys');
    await page.getByLabel('Name').fill(MARKUP);
    await page.getByLabel('admin').check();
    await page.getByRole('button', { name: 'Make the key' }).click();
    await page.getByText('It is not shown again.').waitFor();
    await page.locator('main').getByText('<script>alert(1)</script>').first().waitFor();
    await expectHarmless(page, 'a key');
    await page.getByLabel('Name').fill(LONG);
    await page.getByLabel('Tenant').fill(LONG);
    await page.getByRole('button', { name: 'Make the key' }).click();
    await page.getByText('No key was made').waitFor();
    await expectHarmless(page, 'no key');

    await go(page, 'webhooks');
    await page.getByLabel('URL').fill(`https://example.com/${LONG}`);
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.getByText('It was not sent').waitFor();
    await expectHarmless(page, 'no event');

    const webhook = { url: `http://127.0.0.1:${DEAF_PORT}/${HOSTILE.replaceAll(/\s/g, '')}` };
    const metadata = { [HOSTILE.slice(0, 64)]: HOSTILE, Model: LONG.slice(0, 512) };
    const job = await client().jobs.submit({ input: [HOSTILE, 'good'], metadata, webhook });
    await client().jobs.wait(job.id);
    await go(page, `jobs/${job.id}`);
    await page.getByRole('region', { name: 'Webhook deliveries' }).waitFor();
    await page.getByRole('button', { name: 'Show as JSON' }).click();
    await page.locator('main').getByText('<script>alert(1)</script>').first().waitFor();
    await expectHarmless(page, 'a job');
    await page.getByRole('link', { name: 'job.succeeded' }).click();
    await page.getByText('http://127.0.0.1').waitFor();
    await page.locator('main').getByText('<script>alert(1)</script>').first().waitFor();
    await expectHarmless(page, 'a delivery');

    const hostile = encodeURIComponent(HOSTILE);
    for (const place of ['jobs', 'batches', 'webhooks', 'models']) {
      for (const id of [hostile, '..', 'constructor', `${hostile}${'x'.repeat(20_000)}`]) {
        await go(page, `${place}/${id}`);
        await page.locator('main').getByRole('status').or(page.getByRole('alert')).nth(1).waitFor();
        await expectHarmless(page, `${place}/${id.slice(0, 200)}`);
      }
    }
    for (const place of [`try?model=${hostile}`, `jobs?model=${hostile}&status=x`, hostile]) {
      await go(page, place);
      await expectHarmless(page, place);
    }
  });

  test('a file that is not meant well is text in every place, its name as well', async (t) => {
    const viewport = { width: 380, height: 800 };
    const { page } = await open(t, 'batches/new', { viewport });
    const column = JSON.stringify(`${HOSTILE}${'y'.repeat(1_000)}`);
    const rows = [
      { constructor: MARKUP, [HOSTILE]: 'good', [JSON.parse(column)]: 'x', text: HOSTILE },
      { constructor: HOSTILE.repeat(10), text: '' },
      { constructor: 'c', text: LONG },
      { constructor: 'd', text: `${LONG}!` },
    ];
    const lines = rows.map((row) => JSON.stringify(row));
    await choose(page, fileOf('<img src=x onerror=alert(1)>\u202Evsc.jsonl', lines.join('\n')));
    await page.getByLabel('Id column').selectOption('constructor');
    await page.getByRole('columnheader', { name: 'constructor id' }).waitFor();
    await page.locator('main').getByText('<script>alert(1)</script>').first().waitFor();
    await expectHarmless(page, 'a file');
    await page.getByLabel('Text column').selectOption('text');
    await page.getByLabel('Answers as').selectOption('jsonl');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('status').getByText('completed').waitFor();
    await page.getByRole('region', { name: 'Rows that failed' }).first().waitFor();
    await page.locator('main').getByText('<script>alert(1)</script>').first().waitFor();
    await expectHarmless(page, 'a batch');
  });

  /** As its time to be kept ends it. */
  async function forget(batch: string): Promise<void> {
    const log = createLogger({ service: 'test', level: 'silent' });
    const url = system.env.REDIS_URL ?? '';
    const redis = connectRedis({ url, role: 'worker', name: 'test', log });
    await redis.del(createKeyspace(system.env.HEADRACE_PREFIX ?? '').batch(batch));
    redis.disconnect();
  }
});

async function go(page: Page, place: string): Promise<void> {
  await page.goto(`${new URL(page.url()).origin}/#/${place}`);
  await page.locator('main h1').waitFor();
  await page.locator('[aria-busy]').first().waitFor({ state: 'detached' });
}

/** Nothing of it has become markup, and the page is as wide as the window. */
async function expectHarmless(page: Page, what: string): Promise<void> {
  const found: unknown = await page.evaluate(`[
    document.querySelectorAll('main script, main img, main iframe, main [onerror]').length,
    Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth),
  ]`);
  assert.deepEqual([what, found], [what, [0, 0]]);
}
