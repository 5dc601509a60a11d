import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { createClient } from '@headrace/client';
import type { Browser } from 'playwright-core';
import { launchBrowser, NO_CHROMIUM, openConsole, violations } from '../helpers/browser.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { type Receiver, startReceiver } from '../helpers/receiver.ts';

const HOSTILE = '<script>alert(1)</script> \u202Eevil\u202C <img src=x onerror=alert(1)>';

describe('work in the console', { skip: NO_CHROMIUM }, () => {
  let receiver: Receiver;
  let system: BulkSystem;
  let browser: Browser;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'headrace-browser-'));
    receiver = await startReceiver();
    [system, browser] = await Promise.all([
      startBulkSystem({
        HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
        HEADRACE_WEBHOOK_PORTS: `${receiver.port}`,
      }),
      launchBrowser(),
    ]);
  });
  after(async () => {
    await Promise.all([browser.close(), system.stop(), receiver.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (t: TestContext, place: string, refusals: number[] = []) =>
    openConsole(t, browser, { url: system.apiUrl, place, refusals });
  const client = () => createClient({ baseUrl: system.apiUrl });

  test('a text is tried, its answer and its time are shown, and its job is found', async (t) => {
    const { page } = await open(t, 'try');
    await page.getByLabel('Text', { exact: true }).fill(HOSTILE);
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('list', { name: 'Labels' }).getByText('positive').waitFor();
    await page.getByRole('list', { name: 'Where the time went' }).getByText('infer').waitFor();
    await page.locator('a', { hasText: /^job_/ }).click();
    await page.getByRole('heading', { name: /^Job job_/ }).waitFor();
    await page.getByRole('status').getByText('succeeded').waitFor();
    await page.getByRole('link', { name: 'Jobs' }).click();
    await page.getByRole('region', { name: 'Jobs' }).getByText('succeeded').first().waitFor();
  });

  test('a file is dropped, checked, scored and downloaded, in less than ten clicks', async (t) => {
    const { page } = await open(t, 'batches');
    const path = join(folder, 'reviews.csv');
    const rows = Array.from({ length: 300 }, (_, i) => `r${i},"good, ${i}",${i === 7 ? '' : 'NO'}`);
    rows[9] = 'r9,,NO';
    writeFileSync(path, ['review_id,review,country', ...rows, ''].join('\n'));
    await page.locator('input[type=file]').setInputFiles(path);
    await page.getByRole('columnheader', { name: 'review text' }).waitFor();
    await page.getByRole('columnheader', { name: 'review_id id' }).waitFor();
    await page.getByRole('button', { name: 'Check first' }).click();
    await page.getByText('Rows that are not valid').waitFor();
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('region', { name: 'Rows that failed' }).first().getByText('11').waitFor();
    await page
      .getByRole('list', { name: /each label/ })
      .getByText('positive')
      .waitFor();
    const whole = page.waitForEvent('download');
    await page.getByRole('button', { name: "Results with the file's columns" }).click();
    const scored = readFileSync(await (await whole).path(), 'utf8').split('\n');
    assert.match(scored[1] ?? '', /^r0,"good, 0",NO,\w+,[\d.e-]+,false,$/);
    const alone = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Answers alone' }).click();
    const answered = readFileSync(await (await alone).path(), 'utf8').split('\n');
    assert.match(answered[0] ?? '', /^review_id,label,score,truncated,error$/);
    assert.match(answered[10] ?? '', /^r9,,,false,empty_text$/);
    assert.equal(answered.length, scored.length);
  });

  test('a model shows its card, and whether the workers give its golden answers', async (t) => {
    const { page } = await open(t, 'models/tiny-classifier');
    await page.getByRole('heading', { name: 'Use and limits', level: 4 }).waitFor();
    await page.getByRole('cell', { name: 'a | b' }).waitFor();
    await page.getByText("<script>alert('card')</script> is text, as is this.").waitFor();
    assert.equal(await page.locator('main script').count(), 0);
    const link = page.locator('.card a');
    assert.equal(await link.getAttribute('href'), 'https://onnx.ai/');
    assert.equal(await link.getAttribute('rel'), 'noreferrer');
    const check = page.getByRole('button', { name: 'Check now' });
    await check.click();
    await page.getByRole('status').getByText('All 2 answers are right').waitFor();

    await page.route('**/v1/models/tiny-classifier', async (route) => {
      const response = await route.fetch();
      await route.fulfill({
        response,
        body: (await response.text()).replace('"score":0.', '"score":0.1'),
      });
    });
    await page.reload();
    await check.click();
    await page.getByRole('status').getByText('1 of 2 answers is wrong').waitFor();
    const rows = page.getByRole('region', { name: 'Golden rows' }).getByRole('row');
    await rows.filter({ hasText: /wrong.*positive 0\.1\d+positive 0\.\d+$/ }).waitFor();
    await rows.filter({ hasText: 'right' }).last().waitFor();
    assert.deepEqual(await violations(page), []);
    await page.unrouteAll({ behavior: 'ignoreErrors' });
  });

  test('a batch is paused and goes on when it is resumed', async (t) => {
    const content = new Blob(['good\n'.repeat(2_000)]);
    const file = await client().files.upload({ content, filename: 'a.txt', purpose: 'user_data' });
    process.kill(system.worker.pid, 'SIGSTOP');
    t.after(() => process.kill(system.worker.pid, 'SIGCONT'));
    const { id } = await client().batches.create({
      ...{ input_file_id: file.id, model: 'tiny-classifier', documents: { format: 'text' } },
    });
    const { page } = await open(t, `batches/${id}`);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('status').getByText('paused').waitFor();
    assert.equal((await client().batches.get(id)).paused, true);
    await page.getByRole('button', { name: 'Resume' }).click();
    // Not before: what the worker has taken already may be the whole batch, and a pause lets it end.
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    process.kill(system.worker.pid, 'SIGCONT');
    await page.getByRole('status').getByText('completed').waitFor();
    await page.getByText('2,000 of 2,000').waitFor();
  });

  test('a delivery that failed says why, and is sent again', async (t) => {
    receiver.on('/broken', (response, attempt) => {
      response.writeHead(attempt === 1 ? 500 : 200).end(`${HOSTILE} ${attempt}`);
    });
    const webhook = { url: receiver.url('/broken') };
    await client().jobs.submit({ input: 'good', webhook, metadata: { note: HOSTILE } });
    await receiver.until('/broken', 1);
    const { page } = await open(t, 'webhooks');
    await page.getByRole('link', { name: 'job.succeeded' }).first().click();
    await page.getByText('HTTP 500').waitFor();
    await page.getByText('<script>alert(1)</script>').waitFor();
    await page.getByRole('button', { name: 'Send now' }).click();
    await page.getByText('HTTP 200').waitFor();
    await page.getByRole('status').getByText('delivered').waitFor();
    await page.locator('a', { hasText: /^job_/ }).click();
    await page.getByText('<script>alert(1)</script>').waitFor();
    assert.equal(await page.locator('main script, main img').count(), 0);
  });

  test('a file that is not what its name says is explained, and scored as what it is', async (t) => {
    const { page } = await open(t, 'batches/new');
    const path = join(folder, 'lines.csv');
    writeFileSync(path, '{"id":1,"text":"good"}\n{"id":2,"text":"bad"}\n');
    await page.locator('input[type=file]').setInputFiles(path);
    await page.getByText('is named like csv, but its lines are JSON').waitFor();
    await page.getByLabel('Text column').selectOption('id');
    await page.getByRole('button', { name: 'Check first' }).click();
    await page.getByText('id: is not a text').first().waitFor();
    await page.getByLabel('Text column').selectOption('text');
    await page.getByRole('button', { name: 'Check first' }).click();
    await page.getByText('Rows that are not valid').waitFor();
  });

  test('a batch that is not there, a column that is gone: both are said', async (t) => {
    const content = new Blob(['a,b\n1,2\n']);
    const file = await client().files.upload({ content, filename: 'a.csv', purpose: 'user_data' });
    const documents = { format: 'csv', text: 'review' } as const;
    const request = { input_file_id: file.id, model: 'tiny-classifier', documents };
    const { id } = await client().batches.create(request);
    const { page } = await open(t, `batches/${id}`, [404]);
    await page.getByText('there is no column review; there are a, b').waitFor();
    await page.goto(`${system.apiUrl}/#/batches/batch_00000000000000000000000000`);
    await page.getByText('There is no such batch any more.').waitFor();
  });
});
