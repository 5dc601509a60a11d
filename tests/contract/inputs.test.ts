import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { rename, symlink, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import { openBlobStore } from '@headrace/shared/blobs/index.ts';
import { createInputs, type Inputs } from '@headrace/shared/inputs/index.ts';
import { startS3, type TestS3 } from '../helpers/s3.ts';

const home = mkdtempSync(join(tmpdir(), 'headrace-inputs-'));
const root = join(home, 'in');
let server: TestS3;
let bucket: BlobStore;
let inputs: Inputs;
before(async () => {
  mkdirSync(root);
  server = await startS3();
  Object.assign(process.env, server.env);
  const settings = `endpoint=${encodeURIComponent(server.endpoint)}&path_style=true`;
  const place = `s3://${server.bucket}/in?${settings}`;
  bucket = await openBlobStore(place);
  const blobsUrl = join(home, 'blobs');
  inputs = createInputs({
    ...{ blobs: await openBlobStore(blobsUrl), blobsUrl },
    allowed: `${pathToFileURL(root)},${place}`,
  });
});
after(async () => {
  inputs.close();
  await bucket.close();
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

function open(input_url: string, version: string | null = null) {
  return inputs.open({ input_file_id: null, input_url }, version);
}

const fileUrl = (name: string) => `${pathToFileURL(root)}/${name}`;

/** What an input does, wherever it is. */
function inputSuite(
  kind: string,
  {
    url,
    write,
  }: { url(name: string): string; write(name: string, text: string): Promise<unknown> },
): void {
  describe(`an input in ${kind}`, () => {
    test('is read whole and in parts, also with what it must be', async () => {
      await write('parts', '0123456789');
      const found = await open(url('parts')).stat();
      assert.equal(found?.sizeBytes, 10);
      for (const version of [null, found.version]) {
        const read = async (range?: { start: number; end?: number }) =>
          (await buffer(await open(url('parts'), version).read(range))).toString();
        assert.equal(await read(), '0123456789');
        assert.equal(await read({ start: 3, end: 7 }), '3456');
        assert.equal(await read({ start: 8 }), '89');
        assert.equal(await read({ start: 4, end: 4 }), '');
        await assert.rejects(read({ start: 11 }), { name: 'BlobError', reason: 'range' });
      }
    });

    test('may be empty', async () => {
      await write('empty', '');
      assert.equal((await open(url('empty')).stat())?.sizeBytes, 0);
      assert.equal((await buffer(await open(url('empty')).read())).toString(), '');
    });

    test('that is not there is missing', async () => {
      assert.equal(await open(url('nothing')).stat(), null);
      await assert.rejects(open(url('nothing')).read(), { name: 'BlobError', reason: 'missing' });
    });

    test('that is another one now has changed, whole and in parts', async () => {
      await write('changing', 'as it was');
      const version = (await open(url('changing')).stat())?.version ?? '';
      await write('changing', 'something else');
      await assert.rejects(open(url('changing'), version).read(), { reason: 'changed' });
      const part = open(url('changing'), version).read({ start: 1, end: 3 });
      await assert.rejects(part, { reason: 'changed' });
    });
  });
}

inputSuite('a folder', {
  url: fileUrl,
  write: async (name, text) => writeFileSync(join(root, name), text),
});
inputSuite('S3', {
  url: (name) => `s3://${server.bucket}/in/${name}`,
  write: (name, text) => bucket.put(name, bytesOf(text)),
});

describe('an input in a folder', () => {
  test('is followed through links that stay inside, and no others', async () => {
    mkdirSync(join(root, 'sub'));
    writeFileSync(join(root, 'sub', 'real'), 'inside');
    writeFileSync(join(home, 'secret'), 'a secret');
    mkdirSync(join(home, 'in-beside'));
    writeFileSync(join(home, 'in-beside', 'secret'), 'a secret');
    symlinkSync(join('sub', 'real'), join(root, 'good-link'));
    symlinkSync(join(home, 'secret'), join(root, 'file-link'));
    symlinkSync(home, join(root, 'folder-link'));
    symlinkSync('file-link', join(root, 'link-to-link'));
    symlinkSync(join(home, 'in-beside'), join(root, 'beside'));
    symlinkSync('/proc/self/environ', join(root, 'environ'));
    symlinkSync('loop', join(root, 'loop'));
    const inside = await open(fileUrl('good-link')).read();
    assert.equal((await buffer(inside)).toString(), 'inside');
    const outside = ['file-link', 'folder-link/secret', 'link-to-link', 'beside/secret', 'environ'];
    for (const name of outside) {
      assert.equal(await open(fileUrl(name)).stat(), null, name);
      await assert.rejects(open(fileUrl(name)).read(), { reason: 'missing' });
    }
    await assert.rejects(open(fileUrl('loop')).read(), { name: 'BlobError' });
  });

  test('is a regular file: no folder, no pipe that would never open', async () => {
    execFileSync('mkfifo', [join(root, 'pipe')]);
    for (const name of ['sub', 'pipe']) {
      assert.equal(await open(fileUrl(name)).stat(), null);
      await assert.rejects(open(fileUrl(name)).read(), { reason: 'missing' });
    }
  });

  test('may be below a root that is a link itself', async () => {
    symlinkSync(root, join(home, 'root-link'));
    const blobsUrl = join(home, 'blobs');
    const linked = createInputs({
      ...{ blobs: await openBlobStore(blobsUrl), blobsUrl },
      allowed: String(pathToFileURL(join(home, 'root-link'))),
    });
    const input_url = `${pathToFileURL(join(home, 'root-link'))}/parts`;
    const content = await linked.open({ input_file_id: null, input_url }, null).read();
    assert.equal((await buffer(content)).toString(), '0123456789');
  });

  test('is never one outside, however fast a link is moved to and fro', async () => {
    const reads: string[] = [];
    const flip = async () => {
      for (let i = 0; i < 300; i++) {
        const target = i % 2 === 0 ? join(home, 'in-beside') : join(root, 'both');
        await symlink(target, join(root, '.next'));
        await rename(join(root, '.next'), join(root, 'moving'));
      }
    };
    mkdirSync(join(root, 'both'));
    writeFileSync(join(root, 'both', 'secret'), 'no secret');
    const read = async () => {
      for (let i = 0; i < 300; i++) {
        const reading = open(fileUrl('moving/secret')).read().then(buffer);
        const content = await reading.catch(() => null);
        if (content !== null) reads.push(content.toString());
      }
    };
    await Promise.all([flip(), read()]);
    assert.ok(reads.length > 0);
    assert.deepEqual([...new Set(reads)], ['no secret']);
  });

  test('that is replaced while it is read has changed, also by one of the same size', async () => {
    const path = join(root, 'large');
    writeFileSync(path, Buffer.alloc(4 * 1024 * 1024, 'a'));
    const version = (await open(fileUrl('large')).stat())?.version ?? '';
    const content = await open(fileUrl('large'), version).read();
    writeFileSync(`${path}.new`, Buffer.alloc(4 * 1024 * 1024, 'b'));
    await utimes(`${path}.new`, 1, 1);
    renameSync(`${path}.new`, path);
    await assert.rejects(buffer(content), { name: 'BlobError', reason: 'changed' });
  });
});

describe('inputs', () => {
  test('that are not allowed are refused by who is asked, and cannot be read by who is told', async () => {
    for (const url of ['file:///etc/passwd', `s3://${server.bucket}/other/key`, 'http://a/b']) {
      assert.throws(() => inputs.check(url), { code: 'invalid_request', param: 'input_url' });
      await assert.rejects(open(url).read(), { name: 'BlobError', reason: 'refused' });
      await assert.rejects(open(url).stat(), { name: 'BlobError', reason: 'refused' });
    }
    inputs.check(fileUrl('anything'));
  });
});
