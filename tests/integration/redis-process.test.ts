import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

const HELPER = fileURLToPath(new URL('../helpers/redis.ts', import.meta.url));

async function ask<Answer>(server: TestRedis, question: (redis: Redis) => Promise<Answer>) {
  const redis = new Redis(server.url.replace('unix://', ''), { retryStrategy: null });
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

test('keeps what was acknowledged when Redis is killed and started again', async (t) => {
  const server = await startRedis({ appendonly: true });
  t.after(() => server.stop());
  const { pid } = server;
  await ask(server, (redis) => redis.set('key', 'kept'));
  await server.kill9();
  await server.restart();
  assert.notEqual(server.pid, pid);
  assert.equal(await ask(server, (redis) => redis.get('key')), 'kept');
});

test('runs with the policy that BullMQ needs, also on a loopback port', async (t) => {
  const server = await startRedis({ port: 0, maxmemory: 20_000_000 });
  t.after(() => server.stop());
  assert.match(server.url, /^redis:\/\/127\.0\.0\.1:\d+$/);
  const info = await ask(server, (redis) => redis.info('memory'));
  assert.match(info, /^maxmemory:20000000\r$/m);
  assert.match(info, /^maxmemory_policy:noeviction\r$/m);
});

test('stops when the process that started it is killed', async (t) => {
  const script = `
    const { startRedis } = await import(${JSON.stringify(HELPER)});
    const { url, folder } = await startRedis();
    console.log(JSON.stringify({ url, folder }));`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script]);
  const [line] = await once(parent.stdout, 'data');
  const { url, folder } = JSON.parse(String(line));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = url.replace('unix://', '');
  const socket = connect(path);
  await once(socket, 'connect');
  parent.kill('SIGKILL');
  await once(socket.resume(), 'close');
  await assert.rejects(once(connect(path), 'connect'), { syscall: 'connect' });
});
