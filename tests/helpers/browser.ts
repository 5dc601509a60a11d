import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { z } from 'zod';
import { findChromium } from '../../scripts/setup/chromium.mjs';

const CHROMIUM = await findChromium();

/** For tests that need one: false, or why they are skipped and what helps. */
export const NO_CHROMIUM =
  CHROMIUM === null &&
  'no Chromium was found: install one (apt-get install chromium, brew install chromium, or ' +
    'npx playwright-core install chromium), or name it in CHROMIUM_PATH';

/** Resolves no name but our own, so that a request elsewhere fails as well as being noticed. */
const OFFLINE = '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1';

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM ?? '',
    // A container has no sandbox for its root, and little shared memory.
    args: ['--no-sandbox', '--disable-dev-shm-usage', OFFLINE],
  });
}

export interface Watched {
  page: Page;
  /** What went wrong in it, but for answers that a test provokes. */
  problems: string[];
}

interface OpenOptions extends BrowserContextOptions {
  url: string;
  /** Such as `jobs?status=failed`. */
  place?: string;
  /** Answers that are expected to fail, by their status; 0: no answer. */
  refusals?: number[];
  /** One that the tab has been given before. */
  apiKey?: string | null;
}

const DEADLINE_MS = 15_000;
const MESSAGE_OF_REFUSAL = /^Failed to load resource: .*?(?:status of (\d+)|net::ERR_)/;

/**
 * A page of the console in a context of its own. When the test ends, it must have asked no other
 * host, broken no rule of its policy and thrown nothing.
 */
export async function openConsole(
  t: TestContext,
  browser: Browser,
  { url, place = '', refusals = [], apiKey = null, ...options }: OpenOptions,
): Promise<Watched> {
  const context = await browser.newContext({ acceptDownloads: true, ...options });
  context.setDefaultTimeout(DEADLINE_MS);
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', ({ message }) => problems.push(message));
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    const refusal = MESSAGE_OF_REFUSAL.exec(message.text());
    if (refusal && refusals.includes(Number(refusal[1] ?? 0))) return;
    problems.push(message.text());
  });
  page.on('request', (request) => {
    const address = request.url();
    if (!address.startsWith(`${url}/`) && !/^(data|blob):/.test(address)) problems.push(address);
  });
  // Asking anything is a problem: nothing in the console does, but a script that got in might.
  page.on('dialog', (dialog) => {
    problems.push(`${dialog.type()}: ${dialog.message()}`);
    void dialog.dismiss();
  });
  if (apiKey !== null) {
    await page.addInitScript(`sessionStorage.setItem('headrace-key', ${JSON.stringify(apiKey)})`);
  }
  t.after(async () => {
    await context.close();
    assert.deepEqual(problems, []);
  });
  await page.goto(`${url}/#/${place}`);
  return { page, problems };
}

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const Violations = z.array(z.string());

/** What axe-core finds against accessibility in a page, one line each. */
export async function violations(page: Page): Promise<string[]> {
  if (!(await page.evaluate("'axe' in window"))) await page.evaluate(await readFile(AXE, 'utf8'));
  const found: unknown = await page.evaluate(`
    axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
      violations.flatMap(({ id, nodes }) =>
        nodes.map(({ target, failureSummary }) => id + ': ' + target + ' ' + failureSummary)))`);
  return Violations.parse(found);
}
