import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import { openBlobStore } from '@headrace/shared/blobs/index.ts';
import { z } from 'zod';
import { type BatchClient, createBatchClient, jobLines } from '../helpers/batch-client.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { startWorker } from '../helpers/processes.ts';
import { startS3, type TestS3 } from '../helpers/s3.ts';

const root = mkdtempSync(join(tmpdir(), 'headrace-in-'));
let s3: TestS3;
let bucket: BlobStore;
let system: BulkSystem;
let batches: BatchClient;
before(async () => {
  s3 = await startS3();
  Object.assign(process.env, s3.env);
  const settings = `endpoint=${encodeURIComponent(s3.endpoint)}&path_style=true`;
  const place = `s3://${s3.bucket}/in?${settings}`;
  bucket = await openBlobStore(place);
  system = await startBulkSystem({
    ...s3.env,
    HEADRACE_INPUT_URLS: `${pathToFileURL(root)},${place}`,
    HEADRACE_CHUNK_ROWS: '20',
  });
  batches = createBatchClient(system);
});
after(async () => {
  await system.stop();
  await bucket.close();
  await s3.stop();
  rmSync(root, { recursive: true, force: true });
});

const urlOf = (name: string) => `${pathToFileURL(root)}/${name}`;

async function* bytesOf(content: string | Uint8Array): AsyncGenerator<Uint8Array> {
  yield Buffer.from(content);
}

const DOCUMENTS = { model: 'tiny-classifier', documents: { format: 'csv', text: 'review' } };
const texts = Array.from({ length: 90 }, (_, i) => `the cat number ${i}`);
const csv = `id,review\n${texts.map((text, i) => `${i},${text}`).join('\n')}\n`;

describe('a batch whose input is at a URL', () => {
  test('comes to what the same file comes to, from a folder and from S3', async () => {
    const lines = jobLines(90);
    writeFileSync(join(root, 'requests.jsonl'), lines);
    await bucket.put('requests.jsonl', bytesOf(lines));
    writeFileSync(join(root, 'reviews.csv.gz'), gzipSync(csv));
    await bucket.put('reviews.csv.gz', bytesOf(gzipSync(csv)));
    const requests: [string, string, object][] = [
      [lines, 'requests.jsonl', { endpoint: '/v1/jobs' }],
      [csv, 'reviews.csv.gz', DOCUMENTS],
    ];
    for (const [content, name, request] of requests) {
      const uploaded = await batches.run(content, request);
      const expected = await batches.bytesOf(uploaded.output_file_id);
      assert.equal(uploaded.input_url, null);
      for (const input_url of [urlOf(name), `s3://${s3.bucket}/in/${name}`]) {
        const created = await batches.post('', { input_url, ...request });
        assert.deepEqual([created.input_file_id, created.input_url], [null, input_url]);
        const batch = await batches.finished(created.id);
        assert.equal(batch.status, 'completed', JSON.stringify(batch));
        assert.deepEqual(batch.request_counts, { total: 90, completed: 90, failed: 0 });
        assert.deepEqual(await batches.bytesOf(batch.output_file_id), expected);
      }
    }
  });

  test('is refused at once where the URL is none, is not allowed, or is beside a file', async () => {
    const input_file_id = await batches.upload('a');
    const wrong: [object, string][] = [
      [{}, 'input_file_id'],
      [{ input_file_id, input_url: urlOf('requests.jsonl') }, 'input_url'],
      [{ input_url: 'file:///etc/passwd' }, 'input_url'],
      [{ input_url: `${pathToFileURL(root)}/../x` }, 'input_url'],
      [{ input_url: `s3://${s3.bucket}/elsewhere` }, 'input_url'],
      [{ input_url: 'https://127.0.0.1/a' }, 'input_url'],
    ];
    for (const [input, param] of wrong) {
      const { status, body } = await batches.call('', { endpoint: '/v1/jobs', ...input });
      assert.equal(status, 400, JSON.stringify(body));
      const { error } = z.object({ error: z.object({ param: z.string() }) }).parse(body);
      assert.equal(error.param, param);
    }
  });

  test('fails where there is nothing, or only a link that leads out', async () => {
    symlinkSync('/etc/passwd', join(root, 'link'));
    const nothing = ['nothing.csv', 'link'].map(urlOf);
    for (const input_url of [...nothing, `s3://${s3.bucket}/in/nothing`]) {
      const { id } = await batches.post('', { input_url, ...DOCUMENTS });
      const { status, errors } = await batches.finished(id);
      assert.equal(status, 'failed');
      const [error] = errors?.data ?? [];
      assert.deepEqual([error?.code, error?.param], ['input_not_found', 'input_url']);
    }
  });
});

describe('an input that others change', () => {
  /** A batch that is planned and of which no row is run yet. */
  async function planned(input_url: string, request: object): Promise<string> {
    const { id } = await batches.post('', { input_url, ...request });
    await batches.until(id, ({ status }) => status === 'in_progress');
    return id;
  }

  /** While no worker runs. */
  async function withoutWorker(act: () => Promise<void>): Promise<void> {
    await system.worker.stop();
    await act();
    system.worker = await startWorker({ env: system.env });
  }

  test('after it was planned fails the batch, and is never scored', async () => {
    const lines = jobLines(90);
    const requests = { endpoint: '/v1/jobs' };
    const path = join(root, 'changing.jsonl');
    const gone = join(root, 'gone.jsonl');
    writeFileSync(path, lines);
    writeFileSync(gone, lines);
    writeFileSync(join(root, 'staged.csv'), csv);
    await bucket.put('changing.jsonl', bytesOf(lines));
    const ids: string[] = [];
    await withoutWorker(async () => {
      const inS3 = `s3://${s3.bucket}/in/changing.jsonl`;
      ids.push(await planned(urlOf('changing.jsonl'), requests), await planned(inS3, requests));
      ids.push(await planned(urlOf('gone.jsonl'), requests));
      ids.push(await planned(urlOf('staged.csv'), DOCUMENTS));
      // Of the same length: only its time or its tag tells them apart.
      const other = lines.replaceAll('number', 'nombre');
      writeFileSync(path, other);
      await bucket.put('changing.jsonl', bytesOf(other));
      unlinkSync(gone);
      unlinkSync(join(root, 'staged.csv'));
    });
    const ended = await Promise.all(ids.map((id) => batches.finished(id)));
    assert.deepEqual(
      ended.map(({ status, errors }) => [status, errors?.data[0]?.code]),
      [
        ['failed', 'input_changed'],
        ['failed', 'input_changed'],
        ['failed', 'input_not_found'],
        // Its rows had been written anew.
        ['completed', undefined],
      ],
    );
    for (const { output_file_id } of ended.slice(0, 3)) assert.equal(output_file_id, null);
  });

  test('is not tried again with lines that were those of another', async () => {
    const rows = ['the cat', '', 'the dog'].map((text) => JSON.stringify({ text }));
    writeFileSync(join(root, 'retried.jsonl'), rows.join('\n'));
    const documents = { format: 'jsonl' };
    const input_url = urlOf('retried.jsonl');
    const { id } = await batches.post('', { input_url, model: 'tiny-classifier', documents });
    assert.equal((await batches.finished(id)).request_counts.failed, 1);
    writeFileSync(join(root, 'retried.jsonl'), [...rows].reverse().join('\n'));
    const { id: again } = await batches.post(`/${id}/retry`);
    const { status, errors } = await batches.finished(again);
    assert.deepEqual([status, errors?.data[0]?.code], ['failed', 'input_changed']);
  });
});
