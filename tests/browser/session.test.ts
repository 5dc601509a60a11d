import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, type TestContext, test } from 'node:test';
import { createClient } from '@headrace/client';
import { createEnqueue } from '@headrace/shared/enqueue.ts';
import { newJobId } from '@headrace/shared/ids.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace, type JobPayload } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Browser } from 'playwright-core';
import { MODEL, QUEUE, TINY_MODELS } from '../helpers/api.ts';
import { launchBrowser, NO_CHROMIUM, openConsole } from '../helpers/browser.ts';
import { type ApiProcess, startApi } from '../helpers/processes.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const JOBS = 50_000;
const ADMIN_KEY = 'the-admin-key-of-the-browser-tests-0001';

describe('a session of the console', { skip: NO_CHROMIUM }, () => {
  let redis: TestRedis;
  let env: Record<string, string>;
  let api: ApiProcess;
  let browser: Browser;

  before(async () => {
    redis = await startRedis();
    env = {
      REDIS_URL: redis.url,
      HEADRACE_PREFIX: testPrefix(),
      HEADRACE_MODELS_DIR: TINY_MODELS,
      HEADRACE_DEFAULT_MODEL: 'tiny-classifier',
      HEADRACE_BLOBS: redis.folder,
      HEADRACE_DRAIN_S: '0',
    };
    [api, browser] = await Promise.all([startApi({ env }), launchBrowser()]);
  });
  after(async () => {
    await Promise.all([browser.close(), api.stop()]);
    await redis.stop();
  });

  const open = (t: TestContext, place: string, refusals: number[] = []) =>
    openConsole(t, browser, { url: api.url, place, refusals });

  test('fifty thousand jobs are a list that is paged, filtered and left', async (t) => {
    await addJobs();
    const { page } = await open(t, 'jobs');
    const table = page.getByRole('region', { name: 'Jobs' });
    await table.getByText('queued').nth(49).waitFor();
    const newest = await table.getByRole('link').first().textContent();
    await page.getByRole('button', { name: 'Older' }).click();
    await page.waitForURL(/after=job_/);
    await page.getByRole('link', { name: 'Newest' }).waitFor();
    assert.notEqual(await table.getByRole('link').first().textContent(), newest);
    await page.getByLabel('Status').selectOption('failed');
    await page.waitForURL(/#\/jobs\?status=failed$/);
    await page.getByText('None among the jobs that were looked at.').waitFor();
    await page.goBack();
    await table.getByText('queued').nth(49).waitFor();
    assert.ok((await table.getByRole('row').count()) <= 51);
  });

  test('an API that is started anew mid-stream: the page says so, and goes on', async (t) => {
    const { page } = await open(t, 'overview', [0]);
    await page.getByRole('status').getByText('Live').waitFor();
    const { port } = api;
    await api.stop();
    await page.getByText('The API does not answer.').first().waitFor();
    await page.getByRole('status').getByText('Reconnecting').waitFor();
    api = await startApi({ env: { ...env, PORT: `${port}` } });
    await page.getByRole('status').getByText('Live').waitFor();
    await page.getByText('Trying again until it does.').waitFor({ state: 'detached' });
  });

  test('a key is asked for, kept for the tab, and its end is noticed', async (t) => {
    const { port } = api;
    await api.stop();
    api = await startApi({ env: { ...env, PORT: `${port}`, HEADRACE_ADMIN_KEY: ADMIN_KEY } });
    const admin = createClient({ baseUrl: api.url, apiKey: ADMIN_KEY });
    const made = await admin.keys.create({ name: 'tab', scopes: ['jobs', 'webhooks'] });
    const { page } = await open(t, 'jobs', [401, 403]);
    await page.getByText('This Headrace asks for an API key.').waitFor();
    await page.getByLabel('API key').fill('hr_wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('This key is not one').waitFor();
    await page.getByLabel('API key').fill(made.secret);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('region', { name: 'Jobs' }).getByText('queued').first().waitFor();
    await page.reload();
    await page.getByRole('region', { name: 'Jobs' }).getByText('queued').first().waitFor();
    await page.getByRole('link', { name: 'Keys' }).click();
    await page.getByText('lacks the scope admin').waitFor();
    await page.getByRole('link', { name: 'Jobs' }).click();
    await page.getByRole('region', { name: 'Jobs' }).getByText('queued').first().waitFor();
    await admin.keys.revoke(made.id);
    await page.getByText('it has expired, or it was revoked').waitFor();
    assert.equal(await page.evaluate('sessionStorage.length'), 0);
    await page.getByLabel('API key').fill(ADMIN_KEY);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('region', { name: 'Jobs' }).getByText('queued').first().waitFor();
  });

  async function addJobs(): Promise<void> {
    const log = createLogger({ service: 'test', level: 'silent' });
    const connection = connectRedis({ url: redis.url, role: 'worker', name: 'test', log });
    await once(connection, 'ready');
    const enqueue = createEnqueue(connection, createKeyspace(env.HEADRACE_PREFIX ?? ''));
    const payload = payloadOf(Date.now());
    const add = () => enqueue({ id: newJobId(Date.now()), queue: QUEUE, payload });
    for (let added = 0; added < JOBS; added += 5_000) {
      await Promise.all(Array.from({ length: 5_000 }, add));
    }
    connection.disconnect();
  }
});

function payloadOf(nowMs: number): JobPayload {
  return {
    ...{ v: 1, tenant: 'default', model: MODEL, rows: [{ text: 'good', text_pair: null }] },
    ...{ parameters: {}, priority: 'normal', ttl_s: 3_600, timeout_s: 30, metadata: {} },
    ...{ created_ms: nowMs, tokens: 3, retry_of: null },
  };
}
