import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { SCOPES } from '@headrace/shared/api-keys.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { newKeyId, newSecret } from '@headrace/shared/ids.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace } from '@headrace/shared/queues.ts';
import { connectRedis, redisFailure } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { compose } from '../../apps/api/src/compose.ts';
import { parseConfig } from '../../apps/api/src/config.ts';
import { KeyStore } from '../../apps/api/src/key-store.ts';
import { createKeyring, type Keyring, keyToken, secretHash } from '../../apps/api/src/keyring.ts';
import { startTestApi, type TestApi, TINY_MODELS } from '../helpers/api.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const silent = createLogger({ service: 'test', level: 'silent' });
const ADMIN_KEY = 'an-admin-key-of-more-than-32-characters';
const FAR = 4_000_000_000;

let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

describe('the keyring of a process', () => {
  let connection: Redis;
  let store: KeyStore;
  let keyring: Keyring;
  let atMs: number;
  const now = () => atMs;

  before(async () => {
    connection = connectRedis({ url: redis.url, role: 'request', name: 'test', log: silent });
    await new Promise((ready) => connection.once('ready', ready));
  });
  after(() => connection.disconnect());
  beforeEach(() => {
    atMs = Date.now();
    store = new KeyStore(connection, createKeyspace(testPrefix()));
    keyring = createKeyring({ store, open: false, adminKey: null, now });
  });

  /** A key as another process creates it. */
  async function otherCreates(expires_at: number | null = null) {
    const [id, secret] = [newKeyId(atMs), newSecret()];
    const definition = {
      ...{ tenant: 'search', name: 'a', scopes: ['jobs' as const], created_at: 1, expires_at },
      rate_limit: { rows_per_s: 5, burst_rows: 10 },
    };
    await store.create({ id, definition, hash: secretHash(secret) });
    return { id, secret, header: `Bearer ${keyToken(id, secret)}` };
  }

  const refused = (header: string | undefined) =>
    assert.rejects(
      async () => keyring.identify(header),
      (error) => error instanceof AppError && error.code === 'unauthorized',
    );

  test('lets everybody in until somebody makes a key, and nobody 10 s later', async () => {
    for (const header of [undefined, 'Bearer none', 'Basic x']) {
      const { tenant, keyId, scopes } = await keyring.identify(header);
      assert.deepEqual(
        { tenant, keyId, scopes },
        { tenant: 'default', keyId: null, scopes: SCOPES },
      );
    }
    const { header } = await otherCreates();
    atMs += 10_000;
    await refused(undefined);
    assert.equal((await keyring.identify(header)).tenant, 'search');
  });

  test('lets nobody in once a key was made here, whatever Redis said before', async () => {
    const asked = keyring.identify(undefined);
    keyring.demand();
    await assert.rejects(async () => asked);
    await refused(undefined);
  });

  test('knows of a key what its tenant and itself may use up', async () => {
    const { id, header } = await otherCreates(FAR);
    await store.setTenant('search', { weight: 3, max_rows: 7 });
    assert.deepEqual(await keyring.identify(header), {
      ...{ tenant: 'search', keyId: id, scopes: ['jobs'], weight: 3 },
      limits: { rowsPerS: 5, burstRows: 10 },
      maxRows: 7,
    });
    assert.ok(!(keyring.identify(header) instanceof Promise), 'a second request asks nobody');
  });

  test('refuses wrong, unknown, malformed and foreign keys alike', async () => {
    const { id, secret } = await otherCreates();
    const other = await otherCreates();
    const headers = [
      ...[keyToken(id, newSecret()), keyToken(newKeyId(atMs), secret), keyToken(id, other.secret)],
      ...[secret, id, '', `hr_${id}_`, `${keyToken(id, secret)}x`, 'hr___proto___x'],
    ].map((token) => `Bearer ${token}`);
    const odd = [
      `Basic ${keyToken(id, secret)}`,
      keyToken(id, secret),
      `Bearer ${'x'.repeat(1e5)}`,
    ];
    for (const header of [undefined, ...headers, ...odd]) await refused(header);
  });

  test('refuses a key that was revoked elsewhere within 10 s, and one that has expired', async () => {
    const { id, header } = await otherCreates();
    await keyring.identify(header);
    await store.revoke(id, 1);
    atMs += 10_000;
    await refused(header);
    const expiring = await otherCreates(Math.floor(atMs / 1000) + 2);
    await keyring.identify(expiring.header);
    atMs += 3_000;
    await refused(expiring.header);
  });

  test('notes the last use once a minute', async () => {
    const { id, header } = await otherCreates();
    const lastUsed = async () => (await store.read(id))?.lastUsedAt;
    await keyring.identify(header);
    assert.equal(await lastUsed(), null);
    await keyring.noteUse();
    const first = Math.floor(atMs / 1000);
    assert.equal(await lastUsed(), first);
    atMs += 59_000;
    await keyring.identify(header);
    await keyring.noteUse();
    assert.equal(await lastUsed(), first);
    atMs += 2_000;
    await keyring.identify(header);
    await keyring.noteUse();
    assert.equal(await lastUsed(), first + 61);
  });
});

describe('without Redis', () => {
  test('a known key goes on until 10 s have passed, and nobody else is let in', async () => {
    const own = await startRedis({ appendonly: true });
    const url = own.url;
    const connection = connectRedis({ url, role: 'request', name: 'test', log: silent });
    try {
      await new Promise((ready) => connection.once('ready', ready));
      let atMs = Date.now();
      const store = new KeyStore(connection, createKeyspace(testPrefix()));
      const keyring = createKeyring({ store, open: false, adminKey: null, now: () => atMs });
      const [id, secret] = [newKeyId(atMs), newSecret()];
      const definition = {
        ...{ tenant: 'a', name: 'a', scopes: [...SCOPES], rate_limit: null },
        ...{ created_at: 1, expires_at: null },
      };
      await store.create({ id, definition, hash: secretHash(secret) });
      const header = `Bearer ${keyToken(id, secret)}`;
      await keyring.identify(header);
      await own.kill9();
      const away = (identify: () => unknown) =>
        assert.rejects(
          async () => identify(),
          (error) => redisFailure(error)?.code === 'redis_unavailable',
        );
      atMs += 8_000;
      assert.equal((await keyring.identify(header)).tenant, 'a');
      await away(() => keyring.identify(`Bearer ${keyToken(newKeyId(atMs), secret)}`));
      atMs += 2_000;
      await away(() => keyring.identify(header));
      const fresh = createKeyring({ store, open: false, adminKey: null });
      await away(() => fresh.identify(undefined));
    } finally {
      connection.disconnect();
      await own.stop();
    }
  });
});

describe('an API with keys', () => {
  let api: TestApi;
  before(async () => {
    api = await startTestApi(redis.url, {
      HEADRACE_ADMIN_KEY: ADMIN_KEY,
      HEADRACE_METRICS_OPEN: 'off',
    });
  });
  after(() => api.stop());
  const admin = { authorization: `Bearer ${ADMIN_KEY}` };

  async function createKey(body: Record<string, unknown>) {
    const answer = await api.send('/v1/keys', { body: { name: 'a', ...body }, headers: admin });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    const { id, secret } = z.object({ id: z.string(), secret: z.string() }).parse(answer.body);
    return { id, secret, headers: { authorization: `Bearer ${secret}` } };
  }

  test('answers nobody but on the routes that are open', async () => {
    for (const path of ['/health', '/ready', '/openapi.json', '/docs', '/docs/start.js']) {
      assert.notEqual((await api.send(path)).status, 401, path);
    }
    const closed = ['/v1/jobs', '/v1/models', '/metrics', '/v1/keys'];
    for (const path of closed) {
      assert.equal((await api.send(path)).status, 401, path);
      assert.equal((await api.send(path, { headers: admin })).status, 200, path);
    }
    for (const path of ['/v1/nothing', '/docs/../v1/jobs', '/health/x']) {
      assert.equal((await api.api.app.request(path)).status, 401, path);
    }
  });

  test('asks for the scope that the OpenAPI document names on each operation', async () => {
    const { body } = await api.send('/openapi.json');
    const { paths } = Document.parse(body);
    for (const scope of SCOPES) {
      const { headers } = await createKey({ scopes: [scope] });
      for (const [path, operations] of Object.entries(paths)) {
        for (const [method, { security }] of Object.entries(operations)) {
          const [needed] = security[0]?.apiKey ?? [];
          const url = path.replace(/\{\w+\}/g, 'x');
          const { status } = await api.send(url, { method: method.toUpperCase(), headers });
          const expected = needed !== undefined && needed !== scope;
          assert.equal(status === 403, expected, `${method} ${path} with ${scope}: ${status}`);
          assert.notEqual(status, 401);
        }
      }
    }
  });

  test('stores no secret, shows it once, and refuses the key as soon as it is revoked', async () => {
    const { id, secret, headers } = await createKey({ scopes: ['jobs'], tenant: 'search' });
    assert.match(secret, /^hr_key_[0-9a-z]{26}_[0-9a-z]{40}$/);
    assert.equal((await api.send('/v1/jobs', { headers })).status, 200);
    for (const path of [`/v1/keys/${id}`, '/v1/keys']) {
      const { body } = await api.send(path, { headers: admin });
      assert.ok(JSON.stringify(body).includes(id));
      assert.ok(!JSON.stringify(body).includes(secret.slice(-40)));
    }
    const stored = JSON.stringify(await api.redis.hgetall(api.keys.apiKey(id)));
    assert.ok(stored.includes('search') && !stored.includes(secret.slice(-40)));
    const revoke = { method: 'POST', headers: admin };
    assert.equal((await api.send(`/v1/keys/${id}/revoke`, revoke)).status, 200);
    assert.equal((await api.send('/v1/jobs', { headers })).status, 401);
  });

  test('counts no keys that are gone among those that there may be', async () => {
    const { id } = await createKey({ scopes: ['jobs'] });
    const gone = Array.from({ length: 10_000 }, () => [0, newKeyId(Date.now())]).flat();
    await api.redis.zadd(api.keys.apiKeys, ...gone);
    await createKey({ scopes: ['jobs'] });
    assert.ok((await api.redis.zcard(api.keys.apiKeys)) < 1_000);
    assert.ok(await api.redis.zscore(api.keys.apiKeys, id));
  });

  test('trims the lists of every tenant', async () => {
    const { headers } = await createKey({ scopes: ['jobs'], tenant: 'trimmed' });
    const own = await startTestApi(redis.url, {
      ...{ HEADRACE_PREFIX: api.keys.prefix, HEADRACE_RESULT_TTL_S: '1' },
    });
    try {
      const body = { input: 'a' };
      const answer = await own.send('/v1/jobs', { body, headers });
      const job = z.object({ id: z.string(), model: z.string() }).parse(answer.body);
      await own.redis.del(own.keys.bull(`infer.${job.model}`, job.id));
      const until = Date.now() + 1_100;
      while (Date.now() < until) await own.send('/v1/jobs', { headers });
      assert.equal(await own.api.ticks.indexTrim(), 1);
      assert.deepEqual(await own.store.listIds('trimmed', null, 10), []);
    } finally {
      await own.stop();
    }
  });
});

const Document = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({ security: z.array(z.object({ apiKey: z.array(z.string()) }).partial()) }),
    ),
  ),
});

describe('listening on more than loopback', () => {
  // This machine's loopback all the same, but not by its name.
  const HOST = '127.1';
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'headrace-host-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function listen(env: Record<string, string>): Promise<string> {
    const common = { REDIS_URL: redis.url, PORT: '0', HEADRACE_MODELS_DIR: TINY_MODELS, HOST };
    const blobs = { HEADRACE_BLOBS: join(folder, 'blobs') };
    const api = await compose(parseConfig({ ...common, ...blobs, ...env }), silent);
    try {
      return (await api.listen()).host;
    } finally {
      await api.stop();
    }
  }

  test('is refused without a key, and says what to do', async () => {
    const HEADRACE_PREFIX = testPrefix();
    await assert.rejects(
      listen({ HEADRACE_PREFIX }),
      /no API keys.*HEADRACE_ADMIN_KEY.*127\.1|127\.1.*HEADRACE_ADMIN_KEY/,
    );
    assert.equal(await listen({ HEADRACE_PREFIX, HOST: 'localhost' }), 'localhost');
    assert.equal(await listen({ HEADRACE_PREFIX, HEADRACE_AUTH: 'off' }), HOST);
    assert.equal(await listen({ HEADRACE_PREFIX, HEADRACE_ADMIN_KEY: ADMIN_KEY }), HOST);
  });

  test('is allowed as soon as there is one', async () => {
    const HEADRACE_PREFIX = testPrefix();
    const api = await startTestApi(redis.url, { HEADRACE_PREFIX });
    try {
      const body = { name: 'first', scopes: ['admin'] };
      assert.equal((await api.send('/v1/keys', { body })).status, 201);
      assert.equal(await listen({ HEADRACE_PREFIX }), HOST);
    } finally {
      await api.stop();
    }
  });
});
