import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { type ProcessEntry, processFamily, stillRunning } from '../helpers/process-table.ts';
import { startRedis } from '../helpers/redis.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START = join(ROOT, 'scripts/start.mjs');

const Prediction = z.object({ label: z.string() });
const EmbeddingJob = z.object({
  output: z.array(z.object({ embedding: z.array(z.number()) })),
});
const TINY_MODEL = {
  HEADRACE_MODELS_DIR: 'tests/fixtures/models',
  HEADRACE_MODELS: 'tiny-classifier',
  HEADRACE_DEFAULT_MODEL: 'tiny-classifier',
  HEADRACE_ENGINES: '1',
};
const BUNDLED_MODELS = {
  HEADRACE_MODELS_DIR: 'models',
  HEADRACE_MODELS: '',
  HEADRACE_DEFAULT_MODEL: 'sentiment',
};

// Longer than everything takes; a test that needs it has failed.
const DEADLINE_MS = 60_000;

test('prints where it answers, answers, and leaves no process after Ctrl-C', async (t) => {
  const headrace = launch(t, BUNDLED_MODELS);
  const screen = await headrace.until(/Ctrl-C stops it\./);
  const url = /address {2}(\S+)/.exec(screen)?.[1] ?? '';
  assert.match(screen, new RegExp(`docs {5}${url}/docs`));
  const [prediction, job] = await runCurls(screen);
  assert.equal(Prediction.parse(prediction).label, 'positive');
  assert.equal(EmbeddingJob.parse(job).output[0]?.embedding.length, 384);

  const family = processFamily(headrace.pid);
  assert.ok(family.some(({ command }) => command.includes('redis-server')));
  assert.ok(family.length >= 4);
  headrace.child.kill('SIGINT');
  assert.equal(await headrace.exitCode, 0);
  assert.deepEqual(stillRunning(family), []);
});

test('a second start says what is running, and changes nothing', async (t) => {
  const first = launch(t);
  const screen = await first.until(/Ctrl-C stops it\./);
  const second = launch(t, { HEADRACE_HOME: first.home });
  assert.equal(await second.exitCode, 0);
  assert.match(second.output(), new RegExp(`running already \\(pid ${first.pid}\\)`));
  assert.match(second.output(), new RegExp(/address {2}(\S+)/.exec(screen)?.[1] ?? 'no address'));
});

test('leaves no process when it is killed, and nothing that hinders the next start', async (t) => {
  const headrace = launch(t);
  await headrace.until(/Ctrl-C stops it\./);
  const family = processFamily(headrace.pid);
  headrace.child.kill('SIGKILL');
  await headrace.exitCode;
  await untilGone(family);
  await launch(t, { HEADRACE_HOME: headrace.home }).until(/Ctrl-C stops it\./);
});

test('starts a crashed API again at the same address', async (t) => {
  const headrace = launch(t);
  const screen = await headrace.until(/Ctrl-C stops it\./);
  const url = /address {2}(\S+)/.exec(screen)?.[1] ?? '';
  const api = processFamily(headrace.pid).find(({ command }) => command.includes('api'));
  process.kill(api?.pid ?? 0, 'SIGKILL');
  await headrace.until(/api has ended unexpectedly/);
  const listening = /"event":"api\.listening"/g;
  await headrace.untilLog('api', (text) => (text.match(listening)?.length ?? 0) === 2);
  assert.equal((await fetch(`${url}/health`)).status, 200);
});

test('names the port that is taken and the variable to set', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : null;
  const headrace = launch(t, { PORT: String(port) });
  assert.equal(await headrace.exitCode, 1);
  assert.match(headrace.output(), new RegExp(`Port ${port} is used .*\n {2}PORT=\\d+ npm start`));
});

test('says why a service does not start, and stops the others', async (t) => {
  const headrace = launch(t, { HEADRACE_RESULT_TTL_S: 'soon' });
  assert.equal(await headrace.exitCode, 1);
  assert.match(headrace.output(), /does not start \(exit code 1\):[\s\S]*HEADRACE_RESULT_TTL_S/);
  assert.match(headrace.output(), /Stopped\.\n$/);
});

test('refuses a Redis that evicts keys, and says what to type', async (t) => {
  const redis = await startRedis({ port: 0 });
  t.after(() => redis.stop());
  const client = new Redis(redis.url);
  await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
  client.disconnect();
  const headrace = launch(t, { REDIS_URL: redis.url });
  assert.equal(await headrace.exitCode, 1);
  assert.match(headrace.output(), /policy allkeys-lru/);
  assert.match(headrace.output(), /redis-cli -u \S+ CONFIG SET maxmemory-policy noeviction/);
});

test('says that no Redis answers at REDIS_URL, without its password', async (t) => {
  const headrace = launch(t, { REDIS_URL: 'redis://:hunter2@127.0.0.1:1' });
  assert.equal(await headrace.exitCode, 1);
  assert.match(headrace.output(), /No Redis answers at redis:\/\/…@127\.0\.0\.1:1 .*ECONNREFUSED/);
  assert.doesNotMatch(headrace.output(), /hunter2/);
});

/** `npm start` with data, logs and port of its own; killed at the end of the test if need be. */
function launch(t: TestContext, env: Record<string, string> = {}) {
  const home = env.HEADRACE_HOME ?? mkdtempSync(join(tmpdir(), 'headrace-'));
  const { REDIS_URL: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [START], {
    env: { ...inherited, PORT: '0', HEADRACE_HOME: home, ...TINY_MODEL, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const exitCode = once(child, 'close').then(([code]) => code);
  t.after(async () => {
    const family = processFamily(child.pid ?? 0);
    child.kill('SIGTERM');
    await exitCode;
    await untilGone(family);
    rmSync(home, { recursive: true, force: true });
  });
  return {
    child,
    home,
    exitCode,
    pid: child.pid ?? 0,
    output: () => output,
    until: async (pattern: RegExp) => {
      while (!pattern.test(output)) await nextOutput(child, () => output);
      return output;
    },
    untilLog: async (service: string, fits: (text: string) => boolean) => {
      const file = join(home, 'logs', `${service}.log`);
      await poll(
        () => fits(readFileSync(file, 'utf8')),
        () => `${file} does not say so`,
      );
    },
  };
}

async function nextOutput(child: ChildProcess, output: () => string): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(DEADLINE_MS)]);
  const ended = once(child, 'exit', { signal }).then(() => {
    throw new Error(`it ended:\n${output()}`);
  });
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
  const data = streams.map((stream) => once(stream, 'data', { signal }));
  try {
    await Promise.race([ended, ...data]);
  } finally {
    stop.abort();
    await Promise.allSettled([ended, ...data]);
  }
}

/** Does what the commands on the screen say, whether or not this machine has curl. */
async function runCurls(screen: string) {
  const commands = screen.split(/^ *curl /m).slice(1);
  assert.equal(commands.length, 2);
  const answers = commands.map(async (command) => {
    const url = /^-s (\S+)/.exec(command)?.[1] ?? '';
    const headers = [...command.matchAll(/-H '([^:]+): ([^']+)'/g)];
    const body = /-d '([^']+)'/.exec(command)?.[1] ?? '';
    const response = await fetch(url, {
      method: 'POST',
      headers: headers.map(([, name = '', value = '']) => [name, value] as [string, string]),
      body,
    });
    assert.equal(response.status, 200);
    return response.json();
  });
  return Promise.all(answers);
}

/** No event tells of the end of a process that is not our child: the table is asked. */
async function untilGone(family: ProcessEntry[]): Promise<void> {
  await poll(
    () => stillRunning(family).length === 0,
    () => `still running: ${JSON.stringify(stillRunning(family))}`,
  );
}

async function poll(isSo: () => boolean, complaint: () => string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!isSo()) {
    assert.ok(performance.now() < deadline, complaint());
    await sleep(50);
  }
}
