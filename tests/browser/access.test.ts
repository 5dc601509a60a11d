import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createClient } from '@headrace/client';
import type { Browser, Page } from 'playwright-core';
import { z } from 'zod';
import { launchBrowser, NO_CHROMIUM, openConsole, violations } from '../helpers/browser.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';

/** Of everything that comes before the first figures are seen. */
const FIRST_PAINT_BYTES = 100_000;

describe('who can use the console', { skip: NO_CHROMIUM }, () => {
  let system: BulkSystem;
  let browser: Browser;
  let places: string[];

  before(async () => {
    [system, browser] = await Promise.all([startBulkSystem(), launchBrowser()]);
    const client = createClient({ baseUrl: system.apiUrl });
    const { id } = await client.jobs.submit({ input: ['good', 'bad'] });
    const content = new Blob(['good\n\nbad\n']);
    const file = await client.files.upload({ content, filename: 'a.txt', purpose: 'user_data' });
    const documents = { format: 'text' } as const;
    const request = { input_file_id: file.id, model: 'tiny-classifier', documents };
    const batch = await client.batches.create(request);
    await client.jobs.wait(id);
    for await (const _ of client.batches.watch(batch.id));
    places = [
      ...['overview', 'try', 'jobs', `jobs/${id}`, 'batches', 'batches/new', `batches/${batch.id}`],
      ...['webhooks', 'models', 'models/tiny-classifier', 'keys'],
    ];
  });
  after(async () => {
    await Promise.all([browser.close(), system.stop()]);
  });

  test('axe-core finds nothing against any page, light or dark', async (t) => {
    const options = { url: system.apiUrl, reducedMotion: 'reduce' } as const;
    const { page } = await openConsole(t, browser, options);
    for (const place of places) {
      await goTo(page, place);
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        const found = await violations(page);
        assert.deepEqual([place, colorScheme, ...found], [place, colorScheme]);
      }
    }
  });

  test('every page fits into 380 pixels', async (t) => {
    const viewport = { width: 380, height: 800 };
    const { page } = await openConsole(t, browser, { url: system.apiUrl, viewport });
    for (const place of places) {
      await goTo(page, place);
      const width: unknown = await page.evaluate('document.documentElement.scrollWidth');
      assert.deepEqual([place, Number(width) <= 380], [place, true]);
    }
  });

  test('a text is tried by keyboard alone', async (t) => {
    const { page } = await openConsole(t, browser, { url: system.apiUrl, place: 'overview' });
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    await tabTo(page, 'Try it');
    await page.keyboard.press('Enter');
    await page.getByLabel('Text', { exact: true }).waitFor();
    assert.equal(await focused(page), 'Try it');
    await tabTo(page, 'Text');
    await page.keyboard.press('ControlOrMeta+A');
    await page.keyboard.type('good');
    await tabTo(page, 'Run');
    await page.keyboard.press('Enter');
    await page.getByRole('list', { name: 'Labels' }).getByText('positive').waitFor();
    assert.equal(await focused(page), 'Run');
  });

  test(`the first page takes less than ${FIRST_PAINT_BYTES} bytes, and nothing twice`, async (t) => {
    const { page } = await openConsole(t, browser, { url: system.apiUrl });
    await goTo(page, 'overview');
    await page.getByText('Rows per second').first().waitFor();
    const Entries = z.array(z.object({ name: z.string(), bytes: z.number(), cached: z.boolean() }));
    const read = async () => Entries.parse(await page.evaluate(TRANSFERS));
    const first = (await read()).filter(({ name }) => !name.includes('/v1/'));
    const bytes = first.reduce((sum, entry) => sum + entry.bytes, 0);
    assert.ok(first.length > 20 && bytes < FIRST_PAINT_BYTES, `${bytes} bytes`);
    t.diagnostic(`${first.length} files, ${bytes} bytes`);
    await page.reload();
    await page.getByText('Rows per second').first().waitFor();
    const again = (await read()).filter(({ name }) => name.includes('/console/'));
    assert.deepEqual(
      again.filter(({ cached }) => !cached),
      [],
    );
  });
});

/** What came over the wire, with its headers. */
const TRANSFERS = `performance.getEntriesByType('navigation')
  .concat(performance.getEntriesByType('resource'))
  .map(({ name, transferSize }) => ({ name, bytes: transferSize, cached: transferSize === 0 }))`;

async function goTo(page: Page, place: string): Promise<void> {
  await page.goto(`${new URL(page.url()).origin}/#/${place}`);
  await page.locator('main h1').waitFor();
  await page.locator('[aria-busy]').first().waitFor({ state: 'detached' });
}

async function tabTo(page: Page, name: string): Promise<void> {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab');
    if ((await focused(page)) === name) return;
  }
  assert.fail(`${name} was not reached`);
}

/** The name of what has the focus: its label, or its text. */
async function focused(page: Page): Promise<string> {
  const name: unknown = await page.evaluate(`{
    const { activeElement: it } = document;
    (it.labels?.[0] ?? it).textContent.trim();
  }`);
  return String(name);
}
