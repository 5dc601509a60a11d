import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { parseReceiverRules } from '@headrace/shared/webhooks/receiver-rules.ts';
import { createCallbackClient } from '../../apps/dispatcher/src/webhooks/callback-client.ts';
import type {
  CallbackError,
  CallbackFailure,
} from '../../apps/dispatcher/src/webhooks/callback-error.ts';

const REQUEST = { headers: { 'webhook-id': 'msg_1' }, body: '{"a":"ü"}', timeoutMs: 20_000 };

async function listen(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    // A client that gives up is no failure of the receiver.
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await once(server.close(), 'close');
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

function clientFor(port: number, resolve = async () => ['127.0.0.1']) {
  const rules = parseReceiverRules({
    HEADRACE_WEBHOOK_PORTS: `${port}`,
    HEADRACE_WEBHOOK_ALLOW: '127.0.0.0/8',
  });
  return createCallbackClient({ rules, resolve });
}

async function receive(t: TestContext, listener: RequestListener) {
  const port = await listen(t, createServer(listener));
  return { client: clientFor(port), url: `http://hook.example:${port}/in?a=1` };
}

/** A receiver that says `text` once it has been asked, and then nothing more. */
async function say(t: TestContext, text: string, { close = false } = {}) {
  const answer = (socket: Socket) => {
    socket.once('data', () => (close ? socket.end(text) : socket.write(text)));
  };
  const port = await listen(t, createTcpServer(answer));
  return { client: clientFor(port), url: `http://hook.example:${port}/` };
}

const failsWith = (reason: CallbackFailure) => ({ name: 'CallbackError', reason });

describe('a callback', () => {
  test('is one POST to the path and the host of its URL, on a connection of its own', async (t) => {
    const seen: unknown[] = [];
    const { client, url } = await receive(t, async (request, response) => {
      const body = (await request.setEncoding('utf8').toArray()).join('');
      const { host, connection, 'webhook-id': id } = request.headers;
      seen.push({ method: request.method, path: request.url, body, host, connection, id });
      response.writeHead(503, { 'retry-after': '7' }).end('busy');
    });
    const answer = await client.post(url, REQUEST);
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '7');
    assert.equal(answer.head, 'busy');
    assert.ok(answer.durationMs > 0);
    const { body } = REQUEST;
    const [, host] = url.split(/\/+/);
    const expected = { method: 'POST', path: '/in?a=1', body, host, connection: 'close' };
    assert.deepEqual(seen, [{ ...expected, id: 'msg_1' }]);
  });

  test('reads the first 1,024 bytes of an endless answer, and closes', async (t) => {
    const closed = Promise.withResolvers<void>();
    const { client, url } = await receive(t, (_, response) => {
      const write = () => {
        while (response.write('x'.repeat(10_000)));
      };
      response.on('drain', write).on('close', () => closed.resolve());
      write();
    });
    const { status, head } = await client.post(url, REQUEST);
    assert.equal(status, 200);
    assert.equal(head, 'x'.repeat(1_024));
    await closed.promise;
  });

  test('has its answer when the body of it stops in the middle', async (t) => {
    const { client, url } = await say(t, 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf');
    const { status, head } = await client.post(url, { ...REQUEST, timeoutMs: 500 });
    assert.deepEqual({ status, head }, { status: 200, head: 'half' });
  });

  test('fails when its receiver is silent, closes, is not there or speaks no HTTP', async (t) => {
    const silent = await say(t, '');
    const quick = { ...REQUEST, timeoutMs: 200 };
    await assert.rejects(silent.client.post(silent.url, quick), failsWith('timed_out'));

    const closing = await say(t, '', { close: true });
    await assert.rejects(closing.client.post(closing.url, REQUEST), failsWith('closed'));

    const other = await say(t, '220 mail.example ESMTP\r\n');
    await assert.rejects(other.client.post(other.url, REQUEST), failsWith('invalid_response'));

    const large = await say(t, `HTTP/1.1 200 OK\r\na: ${'x'.repeat(20_000)}\r\n\r\n`);
    await assert.rejects(large.client.post(large.url, REQUEST), failsWith('response_too_large'));

    const upgrade = await say(
      t,
      'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
    );
    await assert.rejects(upgrade.client.post(upgrade.url, REQUEST), failsWith('invalid_response'));

    const gone = createTcpServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const address = gone.address();
    assert.ok(typeof address === 'object' && address !== null);
    await once(gone.close(), 'close');
    const url = `http://hook.example:${address.port}/`;
    await assert.rejects(clientFor(address.port).post(url, REQUEST), failsWith('connect_failed'));
  });

  test('fails as one that was closed when its receiver resets each connection', async (t) => {
    const port = await listen(
      t,
      createTcpServer((socket) => socket.resetAndDestroy()),
    );
    const url = `http://hook.example:${port}/`;
    // How far a connection comes before its end is heard of is a matter of luck.
    for (let i = 0; i < 20; i++) {
      await assert.rejects(clientFor(port).post(url, REQUEST), ({ reason }: CallbackError) => {
        return reason === 'closed' || reason === 'connect_failed';
      });
    }
  });

  test('fails when its host has no address, or its name server is silent', async () => {
    const none = clientFor(80, async () => []);
    await assert.rejects(none.post('http://hook.example/', REQUEST), failsWith('dns_failed'));
    const unknown = clientFor(80, () => Promise.reject(new Error('ENOTFOUND')));
    await assert.rejects(unknown.post('http://hook.example/', REQUEST), failsWith('dns_failed'));
    const silent = clientFor(80, () => new Promise(() => {}));
    const quick = { ...REQUEST, timeoutMs: 100 };
    // A timer of the test's own: nothing else would keep the process waiting.
    const timer = setTimeout(() => {}, 60_000);
    await assert.rejects(silent.post('http://hook.example/', quick), failsWith('timed_out'));
    clearTimeout(timer);
  });

  test('ends at once when it is given up', async (t) => {
    const { client, url } = await say(t, '');
    const giveUp = new AbortController();
    const posted = client.post(url, { ...REQUEST, signal: giveUp.signal });
    giveUp.abort();
    await assert.rejects(posted, failsWith('canceled'));
  });

  test('tries the next address where one takes no connections', async (t) => {
    const port = await listen(
      t,
      createServer((_, response) => response.end('ok')),
    );
    const client = clientFor(port, async () => ['127.0.0.2', '127.0.0.1']);
    const { head } = await client.post(`http://hook.example:${port}/`, REQUEST);
    assert.equal(head, 'ok');
  });
});

describe('over TLS', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'headrace-tls-'));
    const out = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
    const name = ['-subj', '/CN=hook.example', '-addext', 'subjectAltName=DNS:hook.example'];
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync('openssl', ['req', ...kind, '-days', '2', ...name, ...out], { stdio: 'pipe' });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function receiveTls(t: TestContext) {
    const key = readFileSync(join(folder, 'key.pem'), 'utf8');
    const cert = readFileSync(join(folder, 'cert.pem'), 'utf8');
    const names: unknown[] = [];
    const server = createTlsServer({ key, cert }, (request, response) => {
      names.push(Reflect.get(request.socket, 'servername'));
      response.end('secure');
    });
    const port = await listen(t, server);
    return { port, cert, names, client: clientFor(port) };
  }

  test('the name is sent, and the certificate must be trusted and of that name', async (t) => {
    const { port, cert, names, client } = await receiveTls(t);
    const url = `https://hook.example:${port}/`;
    await assert.rejects(client.post(url, REQUEST), failsWith('tls_failed'));

    const usual = getCACertificates('default');
    setDefaultCACertificates([...usual, cert]);
    t.after(() => setDefaultCACertificates(usual));
    const { status, head } = await client.post(url, REQUEST);
    assert.deepEqual(
      { status, head, names },
      { status: 200, head: 'secure', names: ['hook.example'] },
    );
    const other = client.post(`https://other.example:${port}/`, REQUEST);
    await assert.rejects(other, failsWith('tls_failed'));
    const byAddress = client.post(`https://127.0.0.1:${port}/`, REQUEST);
    await assert.rejects(byAddress, failsWith('tls_failed'));
  });

  test('no variable of the environment turns that off', async (t) => {
    const { port, client } = await receiveTls(t);
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    t.after(() => delete process.env.NODE_TLS_REJECT_UNAUTHORIZED);
    const url = `https://hook.example:${port}/`;
    await assert.rejects(client.post(url, REQUEST), failsWith('tls_failed'));
  });
});
