import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { ConnectionError, createClient, HeadraceError } from '@headrace/client';

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

/** A server that answers one request after the other as it is told; the last one answers the rest. */
async function serve(t: TestContext, ...handlers: Handler[]) {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    const handler = handlers[Math.min(seen.length, handlers.length - 1)];
    seen.push(request);
    handler?.(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { client: createClient({ baseUrl: urlOf(server) }), seen };
}

function urlOf(server: Server): string {
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

function answer(status: number, body: object, headers: Record<string, string> = {}): Handler {
  return (request, response) => {
    request.resume().on('end', () => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    });
  };
}

function refuse(status: number, code: string, headers: Record<string, string> = {}): Handler {
  const error = { message: 'no', type: 'api_error', code, param: null, retryable: true };
  return answer(status, { error }, headers);
}

/** Server-sent events, in so many pieces. */
function events(...texts: string[]): Handler {
  return async (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const text of texts) await new Promise((written) => response.write(text, written));
    response.end();
  };
}

const hangUp: Handler = (request) => request.socket.destroy();
const job = answer(200, { id: 'job_1', status: 'succeeded' });

describe('what is repeated', () => {
  test('a reading, after a refusal, a failure and a broken connection', async (t) => {
    const failures = [refuse(503, 'redis_unavailable', { 'retry-after': '0' }), hangUp];
    const { client, seen } = await serve(t, ...failures, job);
    assert.equal((await client.jobs.get('job_1')).id, 'job_1');
    assert.equal(seen.length, 3);
  });

  test('a submission, each time under the same key, and another one under another', async (t) => {
    const keys: unknown[] = [];
    const seeing =
      (then: Handler): Handler =>
      (request, response) => {
        keys.push(request.headers['idempotency-key']);
        return then(request, response);
      };
    const failures = [refuse(503, 'redis_unavailable', { 'retry-after': '0' }), hangUp];
    const { client } = await serve(t, ...failures.map(seeing), seeing(job));
    assert.equal((await client.jobs.submit({ input: 'a' })).id, 'job_1');
    await client.jobs.retry('job_1');
    await client.batches.create({ input_file_id: 'file-1', endpoint: '/v1/jobs' });
    assert.equal(keys.length, 5);
    for (const key of keys) assert.match(String(key), /^[0-9a-f]{32}$/);
    assert.deepEqual([new Set(keys).size, new Set(keys.slice(0, 3)).size], [3, 1]);
  });

  test('nothing that the server says shall not be, nor what it puts off for long', async (t) => {
    for (const headers of [{ 'x-should-retry': 'false' }, { 'retry-after': '3600' }]) {
      const { client, seen } = await serve(t, refuse(503, 'not_ready', headers), job);
      await assert.rejects(client.jobs.get('job_1'), HeadraceError);
      assert.equal(seen.length, 1);
    }
  });

  test('an upload whose content can be read again, from its beginning', async (t) => {
    const bodies: string[] = [];
    const keep: Handler = async (request, response) => {
      bodies.push((await buffer(request)).toString());
      const failed = bodies.length === 1;
      await (failed ? refuse(503, 'storage_unavailable', { 'retry-after': '0' }) : job)(
        request,
        response,
      );
      request.emit('end');
    };
    const { client } = await serve(t, keep);
    const purpose = 'user_data';
    async function* content() {
      yield Buffer.from('the content');
    }
    await client.files.upload({ content, filename: 'a', purpose });
    assert.equal(bodies.length, 2);
    for (const body of bodies) assert.match(body, /\r\n\r\nthe content\r\n--/);
    bodies.length = 0;
    const once = client.files.upload({ content: content(), filename: 'a', purpose });
    await assert.rejects(once, HeadraceError);
    assert.equal(bodies.length, 1);
  });
});

describe('a download', () => {
  test('goes on at the byte at which it broke', async (t) => {
    const content = Buffer.from('0123456789'.repeat(1_000));
    const half: Handler = (_, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 4_321), () => response.destroy());
    };
    const rest: Handler = (request, response) => {
      const start = Number(/^bytes=(\d+)-9999$/.exec(request.headers.range ?? '')?.[1]);
      response.writeHead(206, { 'content-length': content.length - start });
      response.end(content.subarray(start));
    };
    const { client, seen } = await serve(t, half, rest);
    const { bytes, stream } = await client.files.content('file-1');
    assert.equal(bytes, content.length);
    assert.ok((await buffer(stream)).equals(content));
    assert.equal(seen.length, 2);
  });

  test('is not read faster than it is taken, and ends when it is given up', async (t) => {
    const closed = Promise.withResolvers<void>();
    let sent = 0;
    const endless: Handler = (_, response) => {
      response.writeHead(200, { 'content-length': 10 ** 12 });
      const piece = Buffer.alloc(2 ** 20);
      const more = () => {
        do sent += piece.length;
        while (response.write(piece));
      };
      response.on('drain', more).on('close', closed.resolve);
      more();
    };
    const { client } = await serve(t, endless);
    const { stream } = await client.files.content('file-1');
    const reader = stream.getReader();
    let taken = 0;
    for (let i = 0; i < 100; i += 1) taken += (await reader.read()).value?.length ?? 0;
    // Buffers of the sockets on both sides, and one piece.
    assert.ok(sent - taken < 32 * 2 ** 20, `${sent} of ${taken}`);
    await reader.cancel();
    await closed.promise;
  });
});

describe('an upload', () => {
  test('is not read faster than the server takes it, and ends when it is aborted', async (t) => {
    const began = Promise.withResolvers<IncomingMessage>();
    const { client } = await serve(t, (request) => {
      request.once('readable', () => began.resolve(request));
    });
    const left = Promise.withResolvers<void>();
    let read = 0;
    async function* endless() {
      try {
        for (;;) {
          read += 2 ** 20;
          yield Buffer.alloc(2 ** 20);
        }
      } finally {
        left.resolve();
      }
    }
    const stop = new AbortController();
    const call = { filename: 'a', purpose: 'batch', signal: stop.signal } as const;
    const upload = client.files.upload({ ...call, content: endless });
    const failed = assert.rejects(upload, { name: 'AbortError' });
    const request = await began.promise;
    // Enough turns of the loop to read far more, if nothing held it back.
    for (let i = 0; i < 2_000; i += 1) await new Promise(setImmediate);
    stop.abort();
    await Promise.all([failed, left.promise]);
    assert.ok(read < 64 * 2 ** 20, `${read}`);
    const closed = new Promise((resolve) => request.on('error', () => {}).once('close', resolve));
    request.resume();
    await closed;
  });
});

describe('waiting', () => {
  test('for a job ends with its signal', async (t) => {
    const asked = Promise.withResolvers<void>();
    const { client } = await serve(t, () => asked.resolve());
    const stop = new AbortController();
    const waiting = assert.rejects(client.jobs.wait('job_1', { signal: stop.signal }), {
      name: 'AbortError',
    });
    await asked.promise;
    stop.abort();
    await waiting;
  });

  test('for a job that takes longer than a request may is told by its events', async (t) => {
    const running = answer(200, { id: 'job_1', status: 'running', finished_at: null });
    const { client, seen } = await serve(
      t,
      running,
      events('event: status\ndata: {"finished_at":null}\n\n'),
      running,
      refuse(429, 'overloaded'),
      running,
      events(
        ': hello\n\nevent: status\ndata: {"fin',
        'ished_at":null}\n\nid: 1\ndata: {"id":\n',
        'data: "job_1","finished_at":7}\n\n',
      ),
    );
    assert.deepEqual(await client.jobs.wait('job_1'), { id: 'job_1', finished_at: 7 });
    const paths = seen.map(({ url = '' }) => url.replace('/v1/jobs/job_1', ''));
    const [poll, follow] = ['?wait=30', '/events'];
    assert.deepEqual(paths, [poll, follow, poll, follow, poll, follow]);
  });

  test('for the overview goes on after a break, with all that was missed', async (t) => {
    const sample = (at: number) => `event: now\ndata: {"at":${at}}\n\n`;
    const { client, seen } = await serve(
      t,
      events(sample(1), sample(2)),
      answer(200, { history: [] }),
      refuse(503, 'redis_unavailable'),
      events(sample(3)),
      answer(200, { history: [1] }),
      refuse(401, 'unauthorized', { 'x-should-retry': 'false' }),
    );
    const told: unknown[] = [];
    const follow = async () => {
      for await (const change of client.overview.follow()) {
        if (change.event === 'all') told.push(change.overview.history.length);
        else told.push(change.event === 'lost' ? 'lost' : change.sample);
      }
    };
    await assert.rejects(follow(), { code: 'unauthorized' });
    assert.deepEqual(told, [0, { at: 1 }, { at: 2 }, 'lost', 'lost', 1, { at: 3 }, 'lost']);
    assert.equal(seen.length, 6);
  });

  test('for a stream that says why it ends gives that', async (t) => {
    const error = {
      message: 'gone',
      type: 't',
      code: 'unauthorized',
      param: null,
      retryable: false,
    };
    const { client } = await serve(
      t,
      events(`event: error\ndata: ${JSON.stringify({ error })}\n\n`),
    );
    const read = async () => {
      for await (const _ of client.overview.watch());
    };
    await assert.rejects(read(), { name: 'HeadraceError', code: 'unauthorized' });
  });

  test('for a server that is not there ends, and says that nothing was sent', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const baseUrl = urlOf(server);
    await once(server.close(), 'close');
    const client = createClient({ baseUrl });
    await assert.rejects(client.models.list({ maxRetries: 1 }), (error) => {
      assert.ok(error instanceof ConnectionError);
      return error.neverSent && /cannot be reached/.test(error.message);
    });
  });

  test('for results goes on after the place where an earlier reader stopped', async (t) => {
    const page = (data: number[], next: string, more: object) =>
      answer(200, { object: 'list', data, next, has_more: false, finished: false, ...more });
    const { client, seen } = await serve(
      t,
      page([1, 2], 'b', { has_more: true }),
      page([3], 'c', {}),
      page([], 'c', {}),
      page([4], 'd', { finished: true }),
    );
    const rows: unknown[] = [];
    const places: string[] = [];
    const options = { after: 'a', follow: true };
    for await (const { data, next } of client.batches.results('batch_1', options)) {
      rows.push(...data);
      places.push(next);
    }
    assert.deepEqual(rows, [1, 2, 3, 4]);
    assert.deepEqual(places, ['b', 'c', 'd']);
    const asked = seen.map(({ url = '' }) => new URL(url, 'http://a').searchParams.get('after'));
    assert.deepEqual(asked, ['a', 'b', 'c', 'c']);
  });
});

test('a list gives a page when it is awaited, and all pages when it is gone through', async (t) => {
  const page = (ids: string[], last_id: string | null, has_more: boolean) =>
    answer(200, { object: 'list', data: ids.map((id) => ({ id })), has_more, last_id });
  const pages = [page(['a', 'b'], 'b', true), page(['c'], 'c', true), page([], null, false)];
  const { client, seen } = await serve(t, ...pages);
  const ids: string[] = [];
  for await (const { id } of client.jobs.list({
    limit: 2,
    after: '0',
    metadata: { 'a&b': 'c=d' },
  })) {
    ids.push(id);
  }
  assert.deepEqual(ids, ['a', 'b', 'c']);
  const queries = seen.map(({ url = '' }) => new URL(url, 'http://a').searchParams);
  assert.deepEqual(
    queries.map((query) => query.get('after')),
    ['0', 'b', 'c'],
  );
  assert.ok(queries.every((query) => query.get('metadata[a&b]') === 'c=d'));
});

test('what answers but is no Headrace is told so', async (t) => {
  const page: Handler = (_, response) => response.end('<html>');
  const { client } = await serve(t, page);
  await assert.rejects(client.models.list({ maxRetries: 0 }), /not as Headrace does/);
});
