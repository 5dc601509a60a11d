import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createClient } from '@headrace/client';
import { type Browser, chromium, type Page } from 'playwright-core';
import { findChromium } from '../setup/chromium.mjs';
import { startProduct } from './screenshots/product.ts';
import { makeReviews, type Review } from './screenshots/reviews.ts';
import { sendJobs } from './screenshots/traffic.ts';
import { visitorOf } from './screenshots/visitor.ts';

const IMAGES = fileURLToPath(new URL('../../docs/images/', import.meta.url));
const ROWS = 10_000;
const FEWER_CLICKS_THAN = 10;
/** History that the charts have before the file comes, in steps of 5 s. */
const HISTORY_STEPS = 12;
/** How much of the batch is done in the pictures. */
const SHARE_SHOWN = 0.55;
const WINDOW = { viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.5 };
const DEADLINE_MS = 15 * 60_000;
const POLL_MS = 500;
/** The overview says each second what is now. */
const SETTLE_MS = 3_000;
const ANSWER = /^(negative|neutral|positive),[\d.e-]+,false,$/;

/**
 * Scores a file in the console of a Headrace that runs as `npm start` has it, as somebody would who
 * knows the README alone; checks what is downloaded, counts the clicks, and takes the pictures of
 * the documents on the way.
 */
async function main(): Promise<void> {
  const executablePath = await findChromium();
  if (executablePath === null) throw new Error('There is no Chromium; name one in CHROMIUM_PATH.');
  const reviews = makeReviews(ROWS);
  const home = await mkdtemp(join(tmpdir(), 'headrace-screenshots-'));
  const product = await startProduct(home);
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  const done = new AbortController();
  const texts = reviews.map(({ text }) => text);
  const traffic = sendJobs(product.url, texts, done.signal);
  try {
    await Promise.race([visit(product.url, browser, reviews), traffic]);
  } finally {
    done.abort();
    await Promise.allSettled([traffic]);
    await browser.close();
    await product.stop();
    await rm(home, { recursive: true });
  }
}

async function visit(url: string, browser: Browser, reviews: Review[]): Promise<void> {
  const lines = reviews.map(({ id, product, text }) => `${id},${product},${field(text)}`);
  const content = ['review_id,product,review', ...lines, ''].join('\n');
  const client = createClient({ baseUrl: url });
  while ((await client.overview.get()).history.length < HISTORY_STEPS) await sleep(POLL_MS);

  const page = await openPage(url, browser);
  const visitor = visitorOf(page);
  const button = (name: string) => page.getByRole('button', { name, exact: true });
  await visitor.click(page.getByRole('link', { name: 'Batches' }));
  await visitor.drop({ name: 'reviews.csv', content }, page.getByText('Drop a file'));
  await page.getByRole('columnheader', { name: 'review_id id' }).waitFor();
  await page.getByRole('columnheader', { name: 'review text' }).waitFor();
  await visitor.click(button('Check first'));
  await page.getByText('Rows that are not valid').waitFor();
  await visitor.click(button('Start'));
  await page.getByRole('heading', { name: /^Batch batch_/ }).waitFor();

  const id = page.url().split('/').at(-1) ?? '';
  for await (const { request_counts } of client.batches.watch(id)) {
    if (request_counts.completed >= SHARE_SHOWN * ROWS) break;
  }
  await page.screenshot({ path: join(IMAGES, 'batch.png') });
  const overview = await openPage(url, browser);
  await overview.getByText('Live').waitFor();
  await sleep(SETTLE_MS);
  await overview.screenshot({ path: join(IMAGES, 'overview.png') });

  await button("Results with the file's columns").waitFor({ timeout: DEADLINE_MS });
  const scored = await visitor.download(button("Results with the file's columns"));
  checkScored(scored, lines);
  assert.ok(visitor.clicks < FEWER_CLICKS_THAN);
  console.log(`${ROWS} rows scored in order, with one file dropped and ${visitor.clicks} clicks`);
}

/** Quoted where it has to be, as in what is written. */
function field(text: string): string {
  return text.includes(',') ? `"${text}"` : text;
}

async function openPage(url: string, browser: Browser): Promise<Page> {
  const page = await (await browser.newContext(WINDOW)).newPage();
  await page.goto(url);
  return page;
}

/** Each line of the input, in its order, with an answer behind it. */
function checkScored(scored: string, lines: string[]): void {
  const [head, ...answered] = scored.trimEnd().split('\n');
  assert.equal(head, 'review_id,product,review,label,score,truncated,error');
  assert.equal(answered.length, lines.length);
  for (const [i, line] of lines.entries()) {
    assert.equal(answered[i]?.slice(0, line.length + 1), `${line},`);
    assert.match(answered[i]?.slice(line.length + 1) ?? '', ANSWER);
  }
}

await main();
