import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';

const MIB = 1024 * 1024;

async function* bytesOf(...pieces: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece);
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(9 * MIB, 1);
  throw new Error('the caller went away');
}

/** Bytes that differ everywhere, so that a part in the wrong place is seen. */
function pattern(bytes: number): Buffer {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 2_654_435_761);
  return Buffer.from(words.buffer).subarray(0, bytes);
}

/** What every blob store does. @param open a store with nothing in it that matters */
export function blobStoreSuite(name: string, open: () => BlobStore): void {
  async function content(key: string, range?: { start: number; end?: number }): Promise<string> {
    return (await buffer(await open().read(key, range))).toString();
  }

  async function keys(prefix: string): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of open().list(prefix)) found.push(key);
    return found;
  }

  describe(`${name}: a blob`, () => {
    test('comes back as it was, with its size and time', async () => {
      assert.equal(await open().put('round/trip.txt', bytesOf('some ', 'bytes')), 10);
      assert.equal(await content('round/trip.txt'), 'some bytes');
      const info = await open().stat('round/trip.txt');
      assert.equal(info?.sizeBytes, 10);
      assert.ok(Math.abs((info?.modifiedMs ?? 0) - Date.now()) < 86_400_000);
    });

    test('may be empty', async () => {
      assert.equal(await open().put('empty', bytesOf()), 0);
      assert.equal(await content('empty'), '');
      assert.equal(await content('empty', { start: 0, end: 0 }), '');
    });

    test('of many parts is put together in order', async () => {
      const large = pattern(20 * MIB + 3);
      const pieces = Array.from({ length: 41 }, (_, i) =>
        large.subarray(i * (MIB / 2), (i + 1) * (MIB / 2)),
      );
      assert.equal(await open().put('large', bytesOf(...pieces)), large.length);
      assert.ok((await buffer(await open().read('large'))).equals(large));
      const part = await buffer(
        await open().read('large', { start: 8 * MIB - 5, end: 8 * MIB + 5 }),
      );
      assert.ok(part.equals(large.subarray(8 * MIB - 5, 8 * MIB + 5)));
    });

    test('is replaced as a whole', async () => {
      await open().put('replaced', bytesOf('a longer one'));
      await open().put('replaced', bytesOf('short'));
      assert.equal(await content('replaced'), 'short');
    });

    test('is read in parts', async () => {
      await open().put('parts', bytesOf('0123456789'));
      assert.equal(await content('parts', { start: 0, end: 2 }), '01');
      assert.equal(await content('parts', { start: 3, end: 7 }), '3456');
      assert.equal(await content('parts', { start: 8 }), '89');
      assert.equal(await content('parts', { start: 8, end: 99 }), '89');
      assert.equal(await content('parts', { start: 4, end: 4 }), '');
      await assert.rejects(content('parts', { start: 11 }), { reason: 'range' });
    });

    test('that is not there is missing', async () => {
      assert.equal(await open().stat('nothing/here'), null);
      await assert.rejects(content('nothing/here'), { name: 'BlobError', reason: 'missing' });
      await open().delete('nothing/here');
    });

    test('is gone once it is deleted', async () => {
      await open().put('deleted', bytesOf('a'));
      await open().delete('deleted');
      assert.equal(await open().stat('deleted'), null);
    });
  });

  describe(`${name}: a write that fails`, () => {
    test('leaves what was there, and nothing of its own', async () => {
      await open().put('broken/a', bytesOf('before'));
      await assert.rejects(open().put('broken/a', failing()), /the caller went away/);
      await assert.rejects(open().put('broken/b', failing()), /the caller went away/);
      assert.equal(await content('broken/a'), 'before');
      assert.deepEqual(await keys('broken/'), ['broken/a']);
    });

    test('because it was aborted does so too', async () => {
      const aborted = new AbortController();
      async function* body(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(MIB);
        aborted.abort(new Error('enough'));
        yield Buffer.alloc(MIB);
      }
      await assert.rejects(open().put('aborted', body(), { signal: aborted.signal }), /enough/);
      assert.equal(await open().stat('aborted'), null);
    });
  });

  describe(`${name}: a listing`, () => {
    test('has the keys of a prefix in order, over many pages', async () => {
      const names = ['list/b', 'list/a/2', 'list/a/1', 'list/ab', 'list/c.txt', 'listed'];
      for (const key of names) await open().put(key, bytesOf(key));
      assert.deepEqual(await keys('list/'), [
        'list/a/1',
        'list/a/2',
        'list/ab',
        'list/b',
        'list/c.txt',
      ]);
      assert.deepEqual(await keys('list/a'), ['list/a/1', 'list/a/2', 'list/ab']);
      assert.deepEqual(await keys('nowhere/'), []);
    });

    test('is empty after everything under a prefix was deleted, and nothing else was', async () => {
      const names = Array.from({ length: 40 }, (_, i) => `all/${i % 4}/${i}`);
      for (const key of [...names, 'all-others']) await open().put(key, bytesOf('a'));
      await open().deleteAll('all/');
      assert.deepEqual(await keys('all'), ['all-others']);
      await open().deleteAll('all/');
    });
  });

  describe(`${name}: a key that could lead elsewhere is refused`, () => {
    const hostile = [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '../a',
      'a/../b',
      'a/./b',
      '.tmp/a',
      'a\0b',
      'a b',
    ];
    for (const key of [...hostile, 'a\\b', 'ä', 'x'.repeat(513)]) {
      test(JSON.stringify(key.slice(0, 20)), async () => {
        await assert.rejects(open().put(key, bytesOf('a')), TypeError);
        await assert.rejects(content(key), TypeError);
        await assert.rejects(open().delete(key), TypeError);
      });
    }
  });
}
