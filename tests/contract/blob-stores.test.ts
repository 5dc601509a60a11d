import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import { FolderBlobStore } from '@headrace/shared/blobs/folder.ts';
import { blobEnv, openBlobStore } from '@headrace/shared/blobs/index.ts';
import { S3BlobStore } from '@headrace/shared/blobs/s3.ts';
import { startS3, type TestS3 } from '../helpers/s3.ts';
import { blobStoreSuite } from './blob-store.suite.ts';

const home = mkdtempSync(join(tmpdir(), 'headrace-blobs-'));
const folder = new FolderBlobStore(join(home, 'blobs'));
let server: TestS3;
let s3: BlobStore;
before(async () => {
  server = await startS3();
  Object.assign(process.env, server.env);
  s3 = storeAt(server.endpoint);
});
after(async () => {
  await s3.close();
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

function storeAt(endpoint: string, bucket = 'headrace', requestTimeoutMs = 5_000): S3BlobStore {
  return new S3BlobStore({
    ...{ bucket, prefix: 'some/where/', endpoint, region: 'us-east-1', pathStyle: true },
    // Small, so that the suite's few blobs are several pages.
    ...{ pageKeys: 2, requestTimeoutMs },
  });
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

blobStoreSuite('folder', () => folder);
blobStoreSuite('S3', () => s3);

describe('a folder of blobs', () => {
  test('never shows nor keeps a write that a crash left behind', async () => {
    await folder.put('kept', bytesOf('a'));
    const temporary = join(home, 'blobs', '.tmp');
    for (const name of ['old', 'new']) writeFileSync(join(temporary, name), 'half');
    const longAgo = new Date(Date.now() - 2 * 86_400_000);
    utimesSync(join(temporary, 'old'), longAgo, longAgo);
    assert.equal(await folder.sweep(), 1);
    assert.deepEqual(readdirSync(temporary), ['new']);
  });

  test('is listed in order of keys, where files and folders sort otherwise', async () => {
    for (const key of ['order/a/1', 'order/a-1', 'order/a0']) await folder.put(key, bytesOf('a'));
    const keys: string[] = [];
    for await (const { key } of folder.list('order/')) keys.push(key);
    assert.deepEqual(keys, ['order/a-1', 'order/a/1', 'order/a0']);
  });

  test('is not left by a link', async () => {
    writeFileSync(join(home, 'secret'), 'a secret');
    await mkdir(join(home, 'blobs', 'links'), { recursive: true });
    symlinkSync(join(home, 'secret'), join(home, 'blobs', 'links', 'out'));
    await assert.rejects(folder.read('links/out'), { reason: 'refused' });
  });

  test('can be written while others empty the same part of it', async () => {
    const both = Array.from({ length: 50 }, async (_, i) => {
      await folder.put(`busy/deep/${i}`, bytesOf('a'));
      await folder.delete(`busy/deep/${i}`);
    });
    await Promise.all(both);
  });

  test('that is full says so', async () => {
    // A file where a folder is needed is the portable way to a store that cannot be written.
    writeFileSync(join(home, 'file'), '');
    const broken = new FolderBlobStore(join(home, 'file'));
    await assert.rejects(broken.put('a', bytesOf('a')), { name: 'BlobError' });
  });
});

describe('an S3 store', () => {
  test('leaves no upload open that failed half-way', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(20 * 1024 * 1024);
      throw new Error('gone');
    }
    await assert.rejects(s3.put('half', failing()), /gone/);
    const client = new S3Client({
      ...{ endpoint: server.endpoint, region: 'us-east-1', forcePathStyle: true },
    });
    const open = await client
      .send(new ListMultipartUploadsCommand({ Bucket: server.bucket }))
      .then(({ Uploads }) => Uploads ?? [])
      .catch((error: Error) => error.name);
    client.destroy();
    // The test server does not list uploads; one that does must list none.
    assert.ok(open === 'NotImplemented' || open.length === 0, String(open));
  });

  test('that does not know the bucket refuses', async () => {
    const other = storeAt(server.endpoint, 'nobodys');
    await assert.rejects(other.put('a', bytesOf('a')), { reason: 'refused' });
    await other.close();
  });

  async function against(answer: (end: (status: number) => void) => void, reason: string) {
    const broken = createServer((_request, response) => {
      answer((status) => response.writeHead(status).end());
    }).listen(0, '127.0.0.1');
    await once(broken, 'listening');
    const store = storeAt(`http://127.0.0.1:${(broken.address() as AddressInfo).port}`, 'b', 200);
    try {
      await assert.rejects(store.read('a'), { name: 'BlobError', reason });
      await assert.rejects(store.put('a', bytesOf('a')), { name: 'BlobError', reason });
    } finally {
      await store.close();
      broken.closeAllConnections();
      broken.close();
    }
  }

  test('that takes nothing is not sent more than a few parts', async () => {
    let asked = 0;
    async function* body(): AsyncGenerator<Uint8Array> {
      for (; asked < 200; asked++) yield Buffer.alloc(1024 * 1024);
    }
    const deaf = createServer(() => {}).listen(0, '127.0.0.1');
    await once(deaf, 'listening');
    const store = storeAt(`http://127.0.0.1:${(deaf.address() as AddressInfo).port}`, 'b', 200);
    await assert.rejects(store.put('a', body()), { reason: 'unavailable' });
    assert.ok(asked < 40, `${asked} MiB were asked for`);
    await store.close();
    deaf.closeAllConnections();
    deaf.close();
  });

  test('that answers 503 is unavailable', () => against((end) => end(503), 'unavailable'));
  test('that answers 507 is full', () => against((end) => end(507), 'full'));
  test('that answers 403 refuses', () => against((end) => end(403), 'refused'));
  test('that never answers is unavailable', () => against(() => {}, 'unavailable'));
});

describe('the place of files', () => {
  test('is a folder, a file: URL or a bucket', async () => {
    await folder.put('place', bytesOf('here'));
    for (const url of [join(home, 'blobs'), `file://${join(home, 'blobs')}`]) {
      const store = await openBlobStore(url);
      assert.equal((await buffer(await store.read('place'))).toString(), 'here');
    }
    await s3.put('place', bytesOf('there'));
    const store = await openBlobStore(server.url);
    assert.equal((await buffer(await store.read('place'))).toString(), 'there');
    await store.close();
  });

  const wrong = [
    's3://',
    's3://bucket?color=red',
    's3://bucket?path_style=maybe',
    's3://bucket?endpoint=ftp://a',
    's3://key:hunter2@bucket/prefix',
    'file://host/path',
    'http://127.0.0.1/',
  ];
  for (const url of wrong) {
    test(`is not ${url}, and no secret in it is repeated`, async () => {
      const parsed = blobEnv.HEADRACE_BLOBS.safeParse(url);
      assert.equal(parsed.success, false);
      assert.doesNotMatch(JSON.stringify(parsed.error), /hunter2/);
      await assert.rejects(
        openBlobStore(url),
        (error: Error) => !error.message.includes('hunter2'),
      );
    });
  }
});
