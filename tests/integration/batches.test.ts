import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type OpenAI from 'openai';
import { toFile } from 'openai';
import { z } from 'zod';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { startS3, type TestS3 } from '../helpers/s3.ts';

const DEADLINE_MS = 60_000;
const Line = z.object({
  custom_id: z.string().nullable(),
  line: z.number(),
  response: z
    .object({ status_code: z.number(), body: z.looseObject({ error: z.unknown().optional() }) })
    .nullable(),
  error: z.object({ code: z.string() }).nullable(),
});

let system: BulkSystem;
before(async () => {
  system = await startBulkSystem({ HEADRACE_CHUNK_ROWS: '50' });
});
after(() => system.stop());

function jobLine(i: number, input: unknown = `text number ${i}`): string {
  const body = { model: 'tiny-classifier', input };
  return JSON.stringify({ custom_id: `row-${i}`, method: 'POST', url: '/v1/jobs', body });
}

function embeddingLine(i: number): string {
  const body = { model: 'tiny-embedder', input: `text number ${i}` };
  return JSON.stringify({ custom_id: `row-${i}`, method: 'POST', url: '/v1/embeddings', body });
}

async function upload(content: string | Buffer, client = system.client): Promise<string> {
  const file = await toFile(Buffer.from(content), 'requests.jsonl');
  return (await client.files.create({ file, purpose: 'batch' })).id;
}

type Endpoint = '/v1/embeddings';

async function create(input_file_id: string, endpoint: string, client = system.client) {
  // The client types only know the endpoints of OpenAI.
  const named = endpoint as Endpoint;
  return client.batches.create({
    ...{ input_file_id, endpoint: named, completion_window: '24h', metadata: { team: 'data' } },
  });
}

async function finished(id: string, client = system.client): Promise<OpenAI.Batch> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const batch = await client.batches.retrieve(id);
    if (['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) return batch;
    assert.ok(Date.now() < deadline, `still ${JSON.stringify(batch)}`);
    await sleep(50);
  }
}

async function run(content: string | Buffer, endpoint: string, client = system.client) {
  return finished((await create(await upload(content, client), endpoint, client)).id, client);
}

async function linesOf(fileId: string | null | undefined, client = system.client) {
  if (!fileId) return [];
  const text = await (await client.files.content(fileId)).text();
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => Line.parse(JSON.parse(line)));
}

describe('a batch, through the official client', () => {
  test('answers every request, in the order of the input', async () => {
    const rows = Array.from({ length: 230 }, (_, i) => i);
    const batch = await run(rows.map((i) => embeddingLine(i)).join('\n'), '/v1/embeddings');
    assert.equal(batch.status, 'completed');
    assert.deepEqual(batch.request_counts, { total: 230, completed: 230, failed: 0 });
    assert.deepEqual(batch.metadata, { team: 'data' });
    assert.equal(batch.error_file_id, null);
    const lines = await linesOf(batch.output_file_id);
    assert.deepEqual(
      lines.map(({ custom_id }) => custom_id),
      rows.map((i) => `row-${i}`),
    );
    for (const { response } of lines) assert.equal(response?.status_code, 200);
  });

  test('gives the same bytes for the same input', async () => {
    const input = Array.from({ length: 120 }, (_, i) => jobLine(i)).join('\n');
    const files = await Promise.all([run(input, '/v1/jobs'), run(input, '/v1/jobs')]);
    const [a, b] = await Promise.all(
      files.map(async (batch) =>
        (await system.client.files.content(batch.output_file_id ?? '')).text(),
      ),
    );
    assert.equal(a, b);
  });

  test('lists with cursors, newest first', async () => {
    const first = await run(jobLine(1), '/v1/jobs');
    const second = await run(jobLine(2), '/v1/jobs');
    const ids: string[] = [];
    for await (const batch of system.client.batches.list({ limit: 1 })) {
      ids.push(batch.id);
      if (ids.length === 2) break;
    }
    assert.deepEqual(ids, [second.id, first.id]);
  });

  test('scores the good lines and names what is wrong with the others', async () => {
    const other = { custom_id: 'x', method: 'POST', url: '/v1/embeddings', body: {} };
    const input = [
      `\ufeff${jobLine(1)}\r`,
      '',
      'not json',
      jobLine(4, ''),
      JSON.stringify(other),
      jobLine(6, ['a', 'b']),
      jobLine(1),
      JSON.stringify({ ...JSON.parse(jobLine(8)), body: { model: 'tiny-embedder', input: 'a' } }),
      '[1]',
      jobLine(10),
    ].join('\n');
    const bytes = Buffer.concat([Buffer.from(`${input}\n`), Buffer.from([0x22, 0xff, 0x22])]);
    const batch = await run(bytes, '/v1/jobs');
    assert.equal(batch.status, 'completed');
    assert.deepEqual(batch.request_counts, { total: 10, completed: 3, failed: 7 });
    const good = await linesOf(batch.output_file_id);
    assert.deepEqual(
      good.map(({ line }) => line),
      [1, 6, 10],
    );
    const bad = await linesOf(batch.error_file_id);
    assert.deepEqual(
      bad.map(({ line }) => line),
      [3, 4, 5, 7, 8, 9, 11],
    );
    for (const { response } of bad) assert.ok((response?.status_code ?? 0) >= 400);
  });

  test('fails with the lines and reasons when no line can be run', async () => {
    const batch = await run('nothing\n{"custom_id":"a"}\n', '/v1/jobs');
    assert.equal(batch.status, 'failed');
    assert.deepEqual(
      batch.errors?.data?.map(({ line }) => line),
      [1, 2],
    );
    assert.match(batch.errors?.data?.[0]?.message ?? '', /not valid JSON/);
  });

  test('is cancelled, keeps what has finished, and says what was not run', async () => {
    const rows = 3_000;
    const input = Array.from({ length: rows }, (_, i) => jobLine(i)).join('\n');
    const { id } = await create(await upload(input), '/v1/jobs');
    await system.client.batches.cancel(id);
    const batch = await finished(id);
    assert.equal(batch.status, 'cancelled');
    const [good, bad] = [await linesOf(batch.output_file_id), await linesOf(batch.error_file_id)];
    for (const { error } of bad) assert.equal(error?.code, 'batch_cancelled');
    if (batch.request_counts?.total) assert.equal(good.length + bad.length, rows);
  });

  test('of which the input is deleted fails, and says so', async () => {
    const input = await upload(jobLine(1));
    await system.client.files.delete(input);
    await assert.rejects(create(input, '/v1/jobs'), { status: 404 });
  });
});

describe('a batch whose files are in S3', () => {
  let s3: TestS3;
  let inS3: BulkSystem;
  before(async () => {
    s3 = await startS3();
    inS3 = await startBulkSystem({ ...s3.env, HEADRACE_BLOBS: s3.url, HEADRACE_CHUNK_ROWS: '50' });
  });
  after(async () => {
    await inS3.stop();
    await s3.stop();
  });

  test('is answered as well', async () => {
    const rows = Array.from({ length: 130 }, (_, i) => i);
    const batch = await run(rows.map((i) => jobLine(i)).join('\n'), '/v1/jobs', inS3.client);
    assert.equal(batch.status, 'completed');
    const lines = await linesOf(batch.output_file_id, inS3.client);
    assert.deepEqual(
      lines.map(({ custom_id }) => custom_id),
      rows.map((i) => `row-${i}`),
    );
  });
});
