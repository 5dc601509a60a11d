import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

const Imports = z.object({ imports: z.record(z.string(), z.string()) });

let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis?.stop());

describe('the console, as it is served', () => {
  let api: TestApi;
  let get: (path: string, headers?: Record<string, string>) => Promise<Response>;
  before(async () => {
    api = await startTestApi(redis.url);
    const { app } = api.api;
    get = async (path, headers = {}) => app.request(path, { headers });
  });
  after(() => api?.stop());

  test('is a page that loads its own files alone', async () => {
    const page = await get('/');
    assert.equal(page.status, 200);
    const policy = page.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|https?:/);
    const html = await page.text();
    assert.doesNotMatch(html, /(?:src|href)="https?:/);
    assert.deepEqual(html.match(/ on[a-z]+=|<style/g), null);
  });

  test('has every import of every module answered, each below one hash', async () => {
    const html = await (await get('/')).text();
    const [, json = ''] = /<script type="importmap">(.*?)<\/script>/.exec(html) ?? [];
    const { imports } = Imports.parse(JSON.parse(json));
    const found = new Set(
      [...html.matchAll(/<(?:link|script)[^>]* (?:src|href)="(\/[^"]+)"/g)].map(
        ([, at = '']) => at,
      ),
    );
    for (const path of found) {
      const answer = await get(path);
      assert.equal(answer.status, 200, path);
      assert.match(path, /^\/console\/[0-9a-f]{16}\//);
      assert.match(answer.headers.get('cache-control') ?? '', /immutable/);
      if (!path.endsWith('.ts') && !path.endsWith('.js')) continue;
      assert.match(answer.headers.get('content-type') ?? '', /^text\/javascript/);
      for (const target of importsOf(await answer.text())) {
        const bare = imports[target];
        assert.ok(bare !== undefined || target.startsWith('.'), `${path} imports ${target}`);
        found.add(bare ?? new URL(target, `http://localhost${path}`).pathname);
      }
    }
    assert.ok(found.size > 50, `${found.size} files`);
  });

  test('comes packed as the browser asks, and not again while it is the same', async () => {
    const plain = await get('/');
    const html = await plain.text();
    for (const [encoding, unpack] of [
      ['br', brotliDecompressSync],
      ['gzip', gunzipSync],
    ] as const) {
      const answer = await get('/', { 'accept-encoding': encoding });
      assert.equal(answer.headers.get('content-encoding'), encoding);
      assert.equal(`${unpack(await answer.arrayBuffer())}`, html);
    }
    const etag = plain.headers.get('etag') ?? '';
    const again = await get('/', { 'if-none-match': etag });
    assert.deepEqual([again.status, await again.text()], [304, '']);
  });

  test('has nothing but its files below its path', async () => {
    for (const path of ['/console/', '/console/x', '/console/../app.ts', '/console/%2e%2e/x']) {
      assert.equal((await get(path)).status, 404, path);
    }
  });
});

test('HEADRACE_CONSOLE=off leaves nothing of it', async () => {
  const api = await startTestApi(redis.url, { HEADRACE_CONSOLE: 'off' });
  try {
    assert.equal((await api.send('/')).status, 404);
    assert.equal((await api.send('/console/x')).status, 404);
  } finally {
    await api.stop();
  }
});

/** Without what comments name as the types of a library. */
function importsOf(script: string): string[] {
  const statements = /\b(?:from|import)\s*\(?\s*["']([^"'\n]+)["']/g;
  return [...script.replace(/\/\*[\s\S]*?\*\//g, '').matchAll(statements)].map(
    ([, target = '']) => target,
  );
}
