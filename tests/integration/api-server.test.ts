import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, get, IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { JobSchema } from '@headrace/shared/jobs.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import { z } from 'zod';
import { TINY_MODELS } from '../helpers/api.ts';
import { type ApiProcess, startApi } from '../helpers/processes.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const MIB = 1_048_576;

const prefix = testPrefix();
let redis: TestRedis;
let api: ApiProcess;
before(async () => {
  redis = await startRedis();
  api = await startApi({ env: environment(prefix) });
});
after(async () => {
  await api.stop();
  await redis.stop();
});

function environment(prefix = testPrefix()): Record<string, string> {
  return {
    REDIS_URL: redis.url,
    HEADRACE_PREFIX: prefix,
    HEADRACE_MODELS_DIR: TINY_MODELS,
    HEADRACE_DEFAULT_MODEL: 'tiny-classifier',
    HEADRACE_DRAIN_S: '1',
  };
}

function post(to: ApiProcess, body: string, headers: Record<string, string> = {}) {
  return fetch(`${to.url}/v1/jobs`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
}

/** Opens a socket and sends bytes as they are. */
async function sendRaw(bytes: string): Promise<Socket> {
  const socket = connect(api.port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(bytes);
  return socket;
}

/** All that a socket receives until the other side closes it. */
async function received(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    text += chunk;
  });
  // Not `once`: an error before the close, such as a reset, is an end like any other.
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

const CHUNKED = [
  'POST /v1/jobs HTTP/1.1',
  'host: localhost',
  'content-type: application/json',
  'transfer-encoding: chunked',
  '\r\n',
].join('\r\n');

describe('over a real port', () => {
  test('a job is submitted and read', async () => {
    const response = await post(api, '{"input":"good"}');
    assert.equal(response.status, 202);
    const job = JobSchema.parse(await response.json());
    const read = await fetch(`${api.url}${response.headers.get('location')}`);
    assert.equal(JobSchema.parse(await read.json()).id, job.id);
  });

  test('a chunked body without a length is read, and cut at the limit', async () => {
    const socket = await sendRaw(`${CHUNKED}b\r\n{"input":"a\r\n2\r\n"}\r\n0\r\n\r\n`);
    const [first] = await once(socket, 'data');
    assert.match(String(first), /^HTTP\/1\.1 202 /);
    socket.destroy();

    const endless = await sendRaw(CHUNKED);
    const answer = received(endless);
    const chunk = `${(65_536).toString(16)}\r\n${' '.repeat(65_536)}\r\n`;
    for (let sent = 0; !endless.destroyed && sent < 64 * MIB; sent += chunk.length) {
      if (endless.write(chunk)) continue;
      await new Promise((resolve) => endless.once('drain', resolve).once('close', resolve));
    }
    assert.match(await answer, /^HTTP\/1\.1 413 [\s\S]*body_too_large/);
  });

  test('a client that sends a refused body to its end, slowly, gets to read why', async () => {
    const socket = await sendRaw(CHUNKED);
    socket.pause();
    const chunk = `${MIB.toString(16)}\r\n${' '.repeat(MIB)}\r\n`;
    for (let sent = 0; sent < 8; sent++) {
      await new Promise((resolve) => socket.write(chunk, resolve));
      await sleep(150);
    }
    socket.write('0\r\n\r\n');
    const answer = received(socket);
    socket.resume();
    assert.match(
      await Promise.race([answer, once(socket, 'data').then(String)]),
      /^HTTP\/1\.1 413 /,
    );
    socket.destroy();
  });

  for (const kind of ['with a length', 'chunked']) {
    test(`a large body ${kind} is read as it was sent, wherever it is cut`, async () => {
      // Neither pieces of a socket nor chunks end with one of these characters.
      const text = `a${'日'.repeat(60_000)}`;
      const bytes = Buffer.from(`\ufeff${JSON.stringify({ input: [text, 'b'] })}`);
      const pieces = Array.from({ length: 10 }, (_, i) =>
        bytes.subarray(i * 20_000, (i + 1) * 20_000),
      );
      const body = kind === 'chunked' ? ReadableStream.from(pieces) : bytes;
      const headers = { 'content-type': 'application/json' };
      const init = { method: 'POST', headers, body, duplex: 'half' as const };
      const response = await fetch(`${api.url}/v1/jobs`, init);
      assert.equal(response.status, 202);
      const { id } = JobSchema.parse(await response.json());
      const log = createLogger({ service: 'test', level: 'silent' });
      const store = connectRedis({ url: redis.url, role: 'worker', name: 'test', log });
      const key = createKeyspace(prefix).bull('infer.tiny-classifier@1', id);
      const data = await store.hget(key, 'data').finally(() => store.disconnect());
      assert.equal(JSON.parse(data ?? '').rows[0].text, text);
    });
  }

  test('hostile bodies fit into a small heap, however many come', async () => {
    const bodies = [
      `{"input":[${'1,'.repeat(500_000)}1]}`,
      `{${'"a":1,'.repeat(170_000)}"b":1}`,
      '['.repeat(MIB),
      `{"input":"a","metadata":{${Array.from({ length: 60_000 }, (_, i) => `"${i}":1`)}}}`,
      `{"input":"${'x'.repeat(2 * MIB)}"}`,
    ];
    // Resident memory goes up and down with the collector; a heap that it must fit into does not.
    const own = await startApi({
      env: { ...environment(), NODE_OPTIONS: '--max-old-space-size=96' },
    });
    try {
      for (let round = 0; round < 40; round++) {
        const answers = await Promise.all(bodies.map((body) => post(own, body)));
        for (const answer of answers) {
          assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
          await answer.arrayBuffer();
        }
      }
      assert.equal((await fetch(`${own.url}/health`)).status, 200);
    } finally {
      await own.stop();
    }
  });

  test('bytes that are no HTTP get an answer in the form of the contract', async () => {
    const broken = ['\u0016\u0003\u0001', `GET / HTTP/1.1\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`];
    for (const bytes of broken) {
      const answer = await received(await sendRaw(bytes));
      assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*x-request-id: [0-9a-f-]{36}/);
      assert.match(answer, /"code":"invalid_request"/);
    }
    const target = await sendRaw('GET /\\evil HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    assert.match(await received(target), /^HTTP\/1\.1 400 [\s\S]*"code":"invalid_request"/);
  });

  test('sockets that send their headers too slowly are closed', async () => {
    const sockets = await Promise.all(
      Array.from({ length: 100 }, (_, i) => sendRaw(i % 2 ? '' : 'POST /v1/jobs HTTP/1.1\r\nx: ')),
    );
    const drip = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write('a');
    }, 1_000);
    const closed = Promise.all(sockets.map((socket) => received(socket)));
    assert.equal((await post(api, '{"input":"a"}')).status, 202);
    await closed;
    clearInterval(drip);
  });
});

describe('on SIGTERM', () => {
  test('who waits gets the job as it is, streams end, and the process leaves with 0', async () => {
    const own = await startApi({ env: environment() });
    const waiting = post(own, '{"input":"a"}', { prefer: 'wait=60' });
    const predicting = fetch(`${own.url}/predict`, {
      method: 'POST',
      body: '{"text":"a"}',
      headers: { 'content-type': 'application/json' },
    });
    await untilQueued(own, 2);
    const job = JobSchema.parse(await (await post(own, '{"input":"a"}')).json());
    const events = await fetch(`${own.url}/v1/jobs/${job.id}/events`);
    const stopped = own.stop();
    assert.match(await events.text(), /^id: queued-0\nevent: status\n/);
    const accepted = await waiting;
    assert.equal(accepted.status, 202);
    assert.equal(JobSchema.parse(await accepted.json()).status, 'queued');
    const refused = await predicting;
    assert.equal(refused.status, 503);
    assert.match(await refused.text(), /"code":"not_ready".*"job_id":"job_/);
    assert.deepEqual(await stopped, { code: 0, signal: null });
    assert.ok(own.logs.some((record) => record.event === 'api.stopped' && record.clean === true));
    assert.deepEqual(own.otherOutput, []);
  });

  test('a kept connection is used once more, told to close, and then nothing is left', async (t) => {
    const waits = { HEADRACE_DRAIN_S: '30', HEADRACE_LINGER_MS: '30000' };
    const own = await startApi({ env: { ...environment(), ...waits } });
    t.after(() => own.kill9());
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = async () => {
      const [answer] = await once(get(`${own.url}/health`, { agent }), 'response');
      assert.ok(answer instanceof IncomingMessage);
      const seen = { port: answer.socket.localPort, connection: answer.headers.connection };
      await text(answer);
      return seen;
    };
    const { port, connection } = await ask();
    assert.equal(connection, 'keep-alive');
    const stopped = own.stop();
    while (!(await (await fetch(`${own.url}/ready`)).text()).includes('stopping')) await sleep(10);
    assert.deepEqual(await ask(), { port, connection: 'close' });
    assert.deepEqual(await stopped, { code: 0, signal: null });
  });
});

async function untilQueued(own: ApiProcess, count: number): Promise<void> {
  const Page = z.object({ data: z.array(z.unknown()) });
  const deadline = Date.now() + 10_000;
  for (;;) {
    const page = Page.parse(await (await fetch(`${own.url}/v1/jobs`)).json());
    if (page.data.length === count) return;
    assert.ok(Date.now() < deadline, 'the jobs were not submitted');
  }
}

test('a wrong configuration ends the process with every problem on its output', async () => {
  await assert.rejects(
    startApi({ env: { ...environment(), PORT: 'x', HEADRACE_MAX_ROWS: '0' } }),
    ({ message }: Error) =>
      /ended with 1[\s\S]*PORT/.test(message) && /HEADRACE_MAX_ROWS: /.test(message),
  );
});

test('without a key it does not listen beyond loopback, and says what to do', async () => {
  await assert.rejects(
    startApi({ env: { ...environment(), HOST: '0.0.0.0' } }),
    ({ message }: Error) => /ended with 1[\s\S]*HOST: .*HEADRACE_ADMIN_KEY/.test(message),
  );
});
