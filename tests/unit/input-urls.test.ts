import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AppError } from '@headrace/shared/errors.ts';
import { inputEnv, parsePlaces, placeFor } from '@headrace/shared/inputs/allowed-places.ts';
import { parseInputUrl } from '@headrace/shared/inputs/input-url.ts';

describe('the URL of an input', () => {
  const good: [string, object][] = [
    ['file:///data/in/a.csv', { scheme: 'file', segments: ['data', 'in', 'a.csv'] }],
    ['file:///a%20b/ü%3F..x', { scheme: 'file', segments: ['a b', 'ü?..x'] }],
    ['s3://bucket/some/key.jsonl', { scheme: 's3', bucket: 'bucket', key: 'some/key.jsonl' }],
    ['s3://my.bucket-1/a b%25', { scheme: 's3', bucket: 'my.bucket-1', key: 'a b%' }],
  ];
  for (const [url, parsed] of good) {
    test(`is ${url}`, () => assert.deepEqual(parseInputUrl(url), parsed));
  }

  const hostile = [
    ...['', 'a', '/etc/passwd', 'http://127.0.0.1/a', 'https://bucket/a', 'FILE:///a', 'S3://b/a'],
    ...['file:/data/a', 'file://host/data/a', 'file://localhost/data/a', 'file:///', 'file://'],
    ...['file:///data/../etc/passwd', 'file:///data/./a', 'file:///data//a', 'file:///data/'],
    ...['file:///data/%2e%2e/etc', 'file:///data/%2E./etc', 'file:///data/.%2e/etc'],
    ...['file:///data/%252e%252e/etc', 'file:///data/..%2fetc', 'file:///data/..%252fetc'],
    ...[
      'file:///data/a%2fb',
      'file:///data/a%5cb',
      'file:///data/a\\..\\b',
      'file:///data/a%00.csv',
    ],
    ...['file:///data/a\0b', 'file:///data/a\nb', 'file:///data/a%0ab', 'file:///data/%zz'],
    ...['file:///data/a%c0%ae%c0%ae', 'file:///data/a?b', 'file:///data/a#b', ' file:///data/a'],
    ...['s3://bucket', 's3://bucket/', 's3:///key', 's3://b/a', 's3://-bucket/a', 's3://Bucket/a'],
    ...['s3://key:hunter2@bucket/a', 's3://hunter2@bucket/a', 's3://bucket:9000/a', 's3://a_b/c'],
    ...['s3://bucket/../other/a', 's3://bucket/a/%2e%2e/b', 's3://bucket/a?versionId=1'],
    ...['s3://bucket/a?endpoint=http://127.0.0.1', 's3://bucket//a', 's3://127.0.0.1:80/a'],
    ...['file:///data/x/..', `file:///${'x'.repeat(3_000)}`, 'javascript:alert(1)', 'data:,a'],
  ];
  for (const url of hostile) {
    test(`is not ${JSON.stringify(url.slice(0, 60))}, and nothing of it is repeated`, () => {
      assert.throws(
        () => parseInputUrl(url),
        (error: AppError) => {
          assert.ok(error instanceof AppError);
          assert.equal(error.code, 'invalid_request');
          assert.equal(error.param, 'input_url');
          assert.doesNotMatch(error.message, /hunter2|passwd/);
          return true;
        },
      );
    });
  }
});

describe('the places that may be read', () => {
  const S3 = 's3://bucket/in?endpoint=http://127.0.0.1:1&path_style=true';
  const places = parsePlaces(`file:///data/in, ${S3},s3://whole`, 's3://own/files?region=eu');

  function keyOf(url: string): string | null {
    return placeFor(parseInputUrl(url), places)?.key ?? null;
  }

  test('hold what is below them, and nothing beside them', () => {
    assert.equal(keyOf('file:///data/in/a/b'), 'a/b');
    assert.equal(keyOf('s3://bucket/in/a'), 'in/a');
    assert.equal(keyOf('s3://whole/a'), 'a');
    for (const url of [
      ...['file:///data/in', 'file:///data/in2/a', 'file:///data/a', 'file:///etc/passwd'],
      ...['s3://bucket/a', 's3://bucket/in', 's3://bucket/in2/a', 's3://bucket2/in/a'],
      ...['s3://own/files/files/file-1', 'file:///data/IN/a'],
    ]) {
      assert.equal(keyOf(url), null, url);
    }
  });

  test('have the settings of the store, unless they have their own', () => {
    const [, own, plain] = places;
    assert.ok(own && 's3' in own && plain && 's3' in plain);
    assert.equal(own.s3.endpoint, 'http://127.0.0.1:1');
    assert.deepEqual([plain.s3.bucket, plain.s3.prefix, plain.s3.region], ['whole', '', 'eu']);
  });

  test('are none where nothing is allowed', () => {
    assert.deepEqual(parsePlaces(undefined, 'folder'), []);
  });

  const overlapping: [string, string][] = [
    ['file:///data', '/data/blobs'],
    ['file:///data/blobs', 'file:///data/blobs'],
    ['file:///data/blobs/files', '/data/blobs'],
    ['s3://bucket', 's3://bucket/files'],
    ['s3://bucket/files/files', 's3://bucket/files?region=eu'],
  ];
  for (const [place, blobs] of overlapping) {
    test(`are not ${place} where our own files are in ${blobs}`, () => {
      assert.throws(() => parsePlaces(place, blobs), /HEADRACE_INPUT_URLS: entry 1/);
    });
  }

  test('are refused with the entry that is wrong, and no secret in it is repeated', () => {
    const list = 'file:///a,/plain/folder,s3://key:hunter2@bucket/a,ftp://x,s3://b?color=red';
    const parsed = inputEnv.HEADRACE_INPUT_URLS.safeParse(list);
    assert.deepEqual(
      parsed.error?.issues.map(({ message }) => /^entry \d/.exec(message)?.[0]),
      ['entry 2', 'entry 3', 'entry 4', 'entry 5'],
    );
    assert.doesNotMatch(JSON.stringify(parsed.error), /hunter2/);
  });
});
