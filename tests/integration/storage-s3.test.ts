import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import { openBlobStore } from '@headrace/shared/blobs/index.ts';
import { z } from 'zod';
import { type BatchClient, createBatchClient, jobLines } from '../helpers/batch-client.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { startS3, type TestS3 } from '../helpers/s3.ts';
import { type Fate, type S3Switch, startS3Switch } from '../helpers/s3-switch.ts';

const REQUESTS = { endpoint: '/v1/jobs' };
const WAITS = 'the file storage: unavailable';

let s3: TestS3;
let door: S3Switch;
let system: BulkSystem;
let batches: BatchClient;
let behind: BlobStore;
before(async () => {
  s3 = await startS3();
  Object.assign(process.env, s3.env);
  behind = await openBlobStore(s3.url);
  door = await startS3Switch(s3);
  system = await startBulkSystem({
    ...{ ...s3.env, HEADRACE_BLOBS: door.url, HEADRACE_CHUNK_ROWS: '50' },
  });
  batches = createBatchClient(system);
});
after(async () => {
  door.fate = () => 'pass';
  await system.stop();
  await door.stop();
  await behind.close();
  await s3.stop();
});

/** Requests that fit come to this; all others pass. */
function stop(fits: RegExp, fate: Fate): void {
  door.stopped.length = 0;
  door.fate = (name) => (fits.test(name) ? fate : 'pass');
}

function open(): void {
  door.fate = () => 'pass';
}

async function files(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of behind.list('files/')) keys.push(key);
  return keys;
}

describe('while S3 fails', () => {
  for (const fate of [500, 503, 'hang'] as const) {
    test(`with ${fate}, an upload is refused for a while, and leaves nothing`, async () => {
      const before = await files();
      stop(/^PUT .*\/files\//, fate);
      const form = new FormData();
      form.append('purpose', 'batch');
      form.append('file', new Blob([jobLines(5)]), 'a.jsonl');
      const answer = await fetch(`${system.apiUrl}/v1/files`, { method: 'POST', body: form });
      assert.equal(answer.status, 503);
      const { error } = z
        .object({ error: z.object({ code: z.string(), retryable: z.boolean() }) })
        .parse(await answer.json());
      assert.deepEqual([error.code, error.retryable], ['storage_unavailable', true]);
      assert.ok(Number(answer.headers.get('retry-after')) > 0);
      open();
      assert.deepEqual(await files(), before);
    });
  }

  test('a batch waits in every stage, says so, and comes to the same bytes', async () => {
    const undisturbed = await batches.run(jobLines(200), REQUESTS);
    const expected = await batches.bytesOf(undisturbed.output_file_id);
    const input_file_id = await batches.upload(jobLines(200));

    await door.down();
    const { id } = await batches.post('', { input_file_id, ...REQUESTS });
    const planning = await batches.until(id, ({ waiting_for }) => waiting_for !== null);
    assert.deepEqual([planning.status, planning.waiting_for], ['validating', WAITS]);
    stop(/^PUT .*\/parts\//, 503);
    await door.up();

    const scoring = await batches.until(id, (batch) => {
      return batch.status === 'in_progress' && batch.waiting_for !== null;
    });
    assert.equal(scoring.waiting_for, WAITS);
    // More often than BullMQ tries a chunk: then it is given out anew.
    await batches.until(id, () => runsOf(0) > 6);
    stop(/^PUT .*\/files\//, 'hang');

    const writing = await batches.until(id, (batch) => {
      return batch.status === 'finalizing' && batch.waiting_for !== null;
    });
    assert.equal(writing.waiting_for, WAITS);
    open();

    const batch = await batches.finished(id);
    assert.deepEqual([batch.status, batch.waiting_for], ['completed', null]);
    assert.deepEqual(batch.request_counts, { total: 200, completed: 200, failed: 0 });
    assert.deepEqual(await batches.bytesOf(batch.output_file_id), expected);
  });

  /** How often a chunk was run, by the names of the parts that could not be written. */
  function runsOf(chunk: number): number {
    const runs = door.stopped.flatMap((name) => /\/parts\/(\d+)-(\w+)\./.exec(name) ?? []);
    const names = runs.filter((_, i) => i % 3 === 2 && runs[i - 1] === String(chunk));
    return new Set(names).size;
  }

  test('half-way through an input, it is read anew', async () => {
    const input_file_id = await batches.upload(jobLines(200));
    stop(/^GET .*\/files\//, 'cut');
    const { id } = await batches.post('', { input_file_id, ...REQUESTS });
    const waiting = await batches.until(id, ({ waiting_for }) => waiting_for !== null);
    assert.deepEqual([waiting.status, waiting.waiting_for], ['validating', WAITS]);
    open();
    const batch = await batches.finished(id);
    assert.deepEqual(batch.request_counts, { total: 200, completed: 200, failed: 0 });
  });

  test('to forget what is of no more use, it is asked until it does', async () => {
    stop(/^DELETE .*\/batches\//, 503);
    const batch = await batches.run(jobLines(60), REQUESTS);
    assert.equal(batch.status, 'completed');
    const left = async () => {
      for await (const { key } of behind.list(`batches/${batch.id}/`)) return key;
      return null;
    };
    assert.notEqual(await left(), null);
    await door.stoppedAt(/^DELETE/);
    open();
    while ((await left()) !== null) await batches.get(batch.id);
  });
});
