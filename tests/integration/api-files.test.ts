import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, globSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openBlobStore } from '@headrace/shared/blobs/index.ts';
import { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { FileSchema, FileStore } from '@headrace/shared/files.ts';
import { newFileId } from '@headrace/shared/ids.ts';
import { z } from 'zod';
import { limitBodyTime } from '../../apps/api/src/body-time.ts';
import { createPartsSweep, createSweep } from '../../apps/dispatcher/src/consumers/sweep.ts';
import { startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

const Failure = z.object({ error: z.object({ code: z.string(), param: z.string().nullable() }) });
const Page = z.object({
  data: z.array(FileSchema),
  has_more: z.boolean(),
  last_id: z.string().nullable(),
});
const MAX_BYTES = 1_000_000;

let redis: TestRedis;
let api: TestApi;
before(async () => {
  redis = await startRedis();
  api = await startTestApi(redis.url, { HEADRACE_MAX_FILE_BYTES: String(MAX_BYTES) });
});
after(async () => {
  await api.stop();
  await redis.stop();
});

function form(content: string | Uint8Array<ArrayBuffer>, more: Record<string, string> = {}) {
  const body = new FormData();
  body.append('file', new Blob([content]), 'rows.jsonl');
  for (const [name, value] of Object.entries({ purpose: 'batch', ...more }))
    body.append(name, value);
  return body;
}

async function upload(content: string | Uint8Array<ArrayBuffer>, more?: Record<string, string>) {
  const { status, body } = await api.send('/v1/files', { body: form(content, more) });
  assert.equal(status, 200, JSON.stringify(body));
  return FileSchema.parse(body);
}

/** Contents that the store holds, finished or not. */
function contents(): string[] {
  const all = globSync('**/*', { cwd: api.folder, withFileTypes: true });
  return all.filter((entry) => entry.isFile()).map(({ name }) => name);
}

describe('a file', () => {
  test('is uploaded, shown, read whole and in part, and deleted with its content', async () => {
    const file = await upload('0123456789');
    assert.equal(file.bytes, 10);
    assert.equal(file.filename, 'rows.jsonl');
    assert.equal(file.purpose, 'batch');
    assert.equal(file.expires_at - file.created_at, 30 * 86_400);
    assert.deepEqual((await api.send(`/v1/files/${file.id}`)).body, file);

    const whole = await api.send(`/v1/files/${file.id}/content`);
    assert.equal(whole.status, 200);
    assert.equal(whole.body, '0123456789');
    assert.equal(whole.headers.get('content-length'), '10');
    const part = await api.send(`/v1/files/${file.id}/content`, {
      headers: { range: 'bytes=2-4' },
    });
    assert.equal(part.status, 206);
    assert.equal(part.body, '234');
    assert.equal(part.headers.get('content-range'), 'bytes 2-4/10');

    const gone = await api.send(`/v1/files/${file.id}`, { method: 'DELETE' });
    assert.deepEqual(gone.body, { id: file.id, object: 'file', deleted: true });
    for (const path of ['', '/content']) {
      assert.equal((await api.send(`/v1/files/${file.id}${path}`)).status, 404);
    }
    assert.ok(!contents().includes(file.id));
  });

  test('of which a part was read goes on where it stopped, unless it is another one', async () => {
    const file = await upload('0123456789');
    const path = `/v1/files/${file.id}/content`;
    const range = 'bytes=5-';
    const same = await api.send(path, { headers: { range, 'if-range': `"${file.id}"` } });
    assert.equal(same.body, '56789');
    const other = await api.send(path, { headers: { range, 'if-range': '"other"' } });
    assert.equal(other.status, 200);
    const outside = await api.send(path, { headers: { range: 'bytes=10-' } });
    assert.equal(outside.status, 416);
  });

  test('keeps a name that could harm neither a header nor a disk', async () => {
    const body = new FormData();
    body.append('purpose', 'user_data');
    body.append('file', new Blob(['a']), '../../etc/zü;rich\u202e\u0007.csv');
    const file = FileSchema.parse((await api.send('/v1/files', { body })).body);
    assert.equal(file.filename, 'zü;rich.csv');
    const { headers } = await api.send(`/v1/files/${file.id}/content`);
    assert.equal(
      headers.get('content-disposition'),
      `attachment; filename="z_;rich.csv"; filename*=UTF-8''z%C3%BC%3Brich.csv`,
    );
  });

  test('of 700 KB comes back as it was', async () => {
    const content = new Uint8Array(700_000).map((_, i) => i * 7 + (i >> 8));
    const file = await upload(content);
    const answer = await api.api.app.request(`/v1/files/${file.id}/content`);
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(Buffer.from(content)));
  });

  test('is listed page by page, in either order, and by purpose', async () => {
    const mine = await startTestApi(redis.url);
    const send = async (path: string) => Page.parse((await mine.send(path)).body);
    try {
      const ids: string[] = [];
      for (const purpose of ['batch', 'user_data', 'batch']) {
        const { body } = await mine.send('/v1/files', { body: form('a', { purpose }) });
        ids.push(FileSchema.parse(body).id);
      }
      const first = await send('/v1/files?limit=2');
      assert.deepEqual(
        first.data.map(({ id }) => id),
        ids.toReversed().slice(0, 2),
      );
      assert.equal(first.has_more, true);
      const second = await send(`/v1/files?limit=2&after=${first.last_id}`);
      assert.deepEqual(
        second.data.map(({ id }) => id),
        ids.slice(0, 1),
      );
      assert.equal(second.has_more, false);
      const oldest = await send('/v1/files?order=asc&purpose=batch');
      assert.deepEqual(
        oldest.data.map(({ id }) => id),
        [ids[0], ids[2]],
      );
    } finally {
      await mine.stop();
    }
  });
});

describe('an upload that is refused leaves nothing', () => {
  const cases: [string, FormData, number, string | null][] = [
    ['without a purpose', withOnly('file'), 400, 'purpose'],
    ['without a file', withOnly('purpose'), 400, 'file'],
    ['with another purpose', form('a', { purpose: 'vision' }), 400, 'purpose'],
    ['with an unknown field', form('a', { color: 'red' }), 400, 'color'],
    ['that is empty', form(''), 400, 'file'],
    ['that is too large', form('a'.repeat(MAX_BYTES + 1)), 413, 'file'],
    ['that expires too soon', form('a', soon('60')), 400, 'expires_after[seconds]'],
  ];
  for (const [what, body, status, param] of cases) {
    test(what, async () => {
      const before = contents();
      const answer = await api.send('/v1/files', { body });
      assert.equal(answer.status, status, JSON.stringify(answer.body));
      assert.equal(Failure.parse(answer.body).error.param, param);
      assert.deepEqual(contents(), before);
    });
  }

  test('with a form that is cut off', async () => {
    const before = contents();
    const body = '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc';
    const headers = { 'content-type': 'multipart/form-data; boundary=x' };
    const answer = await api.send('/v1/files', { body, headers });
    assert.equal(answer.status, 400);
    assert.deepEqual(contents(), before);
  });

  test('with JSON', async () => {
    const answer = await api.send('/v1/files', { body: { purpose: 'batch' } });
    assert.equal(answer.status, 415);
  });
});

function withOnly(name: 'file' | 'purpose'): FormData {
  const body = new FormData();
  if (name === 'file') body.append('file', new Blob(['a']), 'a');
  else body.append('purpose', 'batch');
  return body;
}

function soon(seconds: string): Record<string, string> {
  return { 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': seconds };
}

describe('the sweep', () => {
  test('deletes what has expired and what an upload left behind, and nothing else', async () => {
    const store = new FileStore(api.redis, api.keys);
    const blobs = await openBlobStore(api.folder);
    const kept = await upload('a');
    const short = await upload('b', soon('3600'));
    const orphan = newFileId(Date.now());
    await store.reserve({ tenant: 'default', id: orphan }, Date.now() + 1_000);
    await blobs.put(`files/${orphan}`, bytes('half'));

    const half = join(api.folder, '.tmp', 'half');
    writeFileSync(half, 'half');
    const longAgo = new Date(Date.now() - 2 * 86_400_000);
    utimesSync(half, longAgo, longAgo);
    const later = Date.now() + 3_700_000;
    await createSweep({ files: store, blobs, now: () => later })();
    assert.ok(existsSync(`${api.folder}/files/${kept.id}`));
    assert.ok(!existsSync(`${api.folder}/files/${short.id}`));
    assert.ok(!existsSync(`${api.folder}/files/${orphan}`));
    assert.ok(!existsSync(half));
    assert.equal(await createSweep({ files: store, blobs, now: () => later })(), 0);
  });

  test('deletes the parts of a batch a while after its end, whoever left them', async () => {
    const batches = new BatchStore(api.redis, api.keys);
    const blobs = await openBlobStore(api.folder);
    const { id: input_file_id } = await upload('a');
    const { body } = await api.send('/v1/batches', {
      body: { input_file_id, endpoint: '/v1/jobs', completion_window: '24h' },
    });
    const { id } = z.object({ id: z.string() }).parse(body);
    await blobs.put(`batches/${id}/parts/0-dead.output.jsonl`, bytes('half'));
    const left = () => existsSync(join(api.folder, 'batches'));
    const soon = createPartsSweep({ batches, blobs });
    const late = createPartsSweep({ batches, blobs, now: () => Date.now() + 60_000 });
    await late();
    assert.ok(left(), 'the batch runs');
    await batches.move(id, { from: ['validating'], to: 'failed' });
    await soon();
    assert.ok(left(), 'Redis may forget that it has ended');
    await late();
    assert.ok(!left());
    assert.deepEqual(await batches.ended(Number.MAX_SAFE_INTEGER, 10), []);
  });
});

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

describe('a body that is sent slowly', () => {
  const TIMES = { bodyMs: 300, stretchMs: 100, uploadPauseMs: 100 };

  /** Sends a piece every 20 ms, `pieces` of them; one and no end if that is no positive number. */
  async function send(path: string, pieces: number, { piece = 'a', times = TIMES } = {}) {
    const { promise, resolve } = Promise.withResolvers<'late' | 'received'>();
    const server = createServer((incoming) => {
      limitBodyTime(incoming, () => resolve('late'), times);
      incoming.on('end', () => resolve('received')).resume();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const outgoing = request({ port, host: '127.0.0.1', path, method: 'POST' });
    outgoing.on('error', () => {});
    const timer = setInterval(() => {
      pieces -= 1;
      if (pieces > 0) outgoing.write(piece);
      if (pieces === 0) outgoing.end(piece);
    }, 20);
    outgoing.write('a');
    try {
      return await promise;
    } finally {
      clearInterval(timer);
      outgoing.destroy();
      server.closeAllConnections();
      server.close();
    }
  }

  test('is given up, whatever comes in', async () => {
    assert.equal(await send('/v1/jobs', 1_000_000, { piece: 'a'.repeat(10_000) }), 'late');
  });
  test('is given up as soon as it drips', async () => {
    assert.equal(await send('/v1/jobs', 1_000_000, { times: { ...TIMES, bodyMs: 1e9 } }), 'late');
  });
  test('is taken while it goes on, if it is a file', async () => {
    assert.equal(await send('/v1/files', 20), 'received');
  });
  test('is given up when it stands still, even if it is a file', async () => {
    assert.equal(await send('/v1/files', -1), 'late');
  });
});
