import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createLogger } from '@headrace/shared/logger.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import { checkExternalRedis } from '../../scripts/redis/external-redis.mjs';
import { chooseRedisUrl } from '../../scripts/redis/redis-process.mjs';
import { startRedis } from '../helpers/redis.ts';

const log = createLogger({ service: 'test', level: 'silent' });

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'headrace-redis-tls-'));
  for (const name of ['ours', 'other']) makeCertificate(name);
});
after(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(name: string): string {
  return join(folder, name);
}

/** One that signs itself, for the server and for its clients. */
function makeCertificate(name: string): void {
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const about = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  const out = ['-keyout', fileOf(`${name}.key`), '-out', fileOf(`${name}.pem`)];
  execFileSync('openssl', ['req', ...kind, ...about, ...out], { stdio: 'pipe' });
}

/** How a first connection ends: with an answer, or with an error. */
async function tryToReach(url: string): Promise<string> {
  const redis = connectRedis({ url, role: 'worker', name: 'test', log });
  const failed = new Promise<string>((resolve) => {
    redis.once('error', (error) => resolve(`failed: ${error.message}`));
  });
  try {
    return await Promise.race([redis.ping(), failed]);
  } finally {
    redis.disconnect();
  }
}

test('Redis is reached over TLS, if both sides are who they should be', async (t) => {
  const { port } = new URL(await chooseRedisUrl('', 0));
  const files = { ca: fileOf('ours.pem'), cert: fileOf('ours.pem'), key: fileOf('ours.key') };
  const settings = {
    bind: '127.0.0.1',
    'tls-port': port,
    'tls-ca-cert-file': files.ca,
    'tls-cert-file': files.cert,
    'tls-key-file': files.key,
  };
  const redis = await startRedis({ settings }).catch((error) => {
    // Some are built without.
    if (/tls-/i.test(String(error))) return null;
    throw error;
  });
  if (redis === null) return t.skip('this Redis knows no TLS');
  t.after(() => redis.stop());
  const url = (query: Record<string, string>) =>
    `rediss://127.0.0.1:${port}?${new URLSearchParams(query)}`;
  assert.equal(await tryToReach(url(files)), 'PONG');
  assert.match((await checkExternalRedis(url(files))).join(), /no append-only file/);
  assert.match(await tryToReach(url({ ca: files.ca })), /^failed: .*certificate/i);
  assert.match(
    await tryToReach(url({ ...files, ca: fileOf('other.pem') })),
    /^failed: .*self-signed/,
  );
  assert.match(await tryToReach(`rediss://127.0.0.1:${port}`), /^failed: .*self-signed/);
});
