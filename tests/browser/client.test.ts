import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { CLIENT_CASES, type Given } from '../contract/client.suite.ts';
import { launchBrowser, NO_CHROMIUM } from '../helpers/browser.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';

const ADMIN_KEY = 'an-admin-key-of-more-than-32-characters';
const SUITE = new URL('../contract/client.suite.ts', import.meta.url);
const IMPORT_MAP = /<script type="importmap">.*?<\/script>/;

describe('the client, in Chromium, against a running Headrace', { skip: NO_CHROMIUM }, () => {
  let system: BulkSystem;
  let browser: Browser;
  let page: Page;
  /** Modules of the client that the page has fetched. */
  const modules = new Set<string>();

  before(async () => {
    [system, browser] = await Promise.all([
      startBulkSystem({ HEADRACE_ADMIN_KEY: ADMIN_KEY }),
      launchBrowser(),
    ]);
    page = await browser.newPage();
    page.on('response', (response) => {
      const { pathname } = new URL(response.url());
      if (response.ok() && /^\/console\/\w+\/client\//.test(pathname)) modules.add(pathname);
    });
    await openSuite(page, system.apiUrl);
  });
  after(async () => {
    await Promise.all([browser?.close(), system?.stop()]);
  });

  test('its modules are those that the console gets', async (t) => {
    await page.evaluate("import('@headrace/client').then(() => null)");
    assert.ok([...modules].some((path) => path.endsWith('/client/index.ts')));
    const what = `${modules.size} modules of the client, ${CLIENT_CASES.length} cases of its suite`;
    t.diagnostic(`Chromium ${browser.version()}: ${what}`);
  });

  for (const [i, { name }] of CLIENT_CASES.entries()) {
    test(name, async () => {
      const given: Given = { baseUrl: system.apiUrl, apiKey: ADMIN_KEY };
      await page.evaluate(`runCase(${i}, ${JSON.stringify(given)})`);
    });
  }
});

/**
 * An empty page of the API's own origin that knows the client by the console's import map, and the
 * suite beside it; without the console's policy, since one case asks a server that is not there.
 */
async function openSuite(page: Page, url: string): Promise<void> {
  const consolePage = await (await fetch(url)).text();
  const [importMap] = IMPORT_MAP.exec(consolePage) ?? assert.fail('the page has no import map');
  const suite = stripTypeScriptTypes(await readFile(SUITE, 'utf8'));
  await page.route(`${url}/suite.html`, (route) =>
    route.fulfill({ contentType: 'text/html', body: `<!doctype html>${importMap}` }),
  );
  await page.route(`${url}/suite.js`, (route) =>
    route.fulfill({ contentType: 'text/javascript', body: suite }),
  );
  await page.goto(`${url}/suite.html`);
  await page.evaluate(`
    runCase = async (i, given) => {
      const [{ CLIENT_CASES }, { createClient }] =
        await Promise.all([import('/suite.js'), import('@headrace/client')]);
      await CLIENT_CASES[i].run(createClient(given), given);
    };
    null`);
}
