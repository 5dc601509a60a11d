import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { BatchSchema } from '@headrace/shared/bulk/batch.ts';
import { parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { toFile } from 'openai';
import { z } from 'zod';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';

const DEADLINE_MS = 60_000;
const MODEL = 'tiny-classifier';
const DONE = ['completed', 'failed', 'expired', 'cancelled'];

let system: BulkSystem;
before(async () => {
  system = await startBulkSystem({ HEADRACE_CHUNK_ROWS: '20' });
});
after(() => system.stop());

async function upload(content: string | Uint8Array): Promise<string> {
  const file = await toFile(Buffer.from(content), 'reviews');
  return (await system.client.files.create({ file, purpose: 'user_data' })).id;
}

async function call(path: string, body?: object): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${system.apiUrl}/v1/batches${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

async function create(content: string | Uint8Array, request: object) {
  const input_file_id = await upload(content);
  const { status, body } = await call('', { input_file_id, model: MODEL, ...request });
  assert.equal(status, 200, JSON.stringify(body));
  return BatchSchema.parse(body);
}

async function finished(id: string) {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const batch = BatchSchema.parse((await call(`/${id}`)).body);
    if (DONE.includes(batch.status)) return batch;
    assert.ok(Date.now() < deadline, `still ${JSON.stringify(batch)}`);
    await sleep(50);
  }
}

async function run(content: string | Uint8Array, request: object) {
  return finished((await create(content, request)).id);
}

async function bytesOf(fileId: string | null): Promise<Buffer> {
  if (fileId === null) return Buffer.alloc(0);
  return Buffer.from(await (await system.client.files.content(fileId)).arrayBuffer());
}

async function linesOf(fileId: string | null): Promise<Record<string, unknown>[]> {
  const lines = (await bytesOf(fileId)).toString().split('\n').slice(0, -1);
  return lines.map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line)));
}

const texts = Array.from({ length: 90 }, (_, i) => `the cat number ${i}`);
const csvOf = (rows: string[]) => `id,review\n${rows.map((text, i) => `r${i},${text}`).join('\n')}`;
const CSV = { format: 'csv', text: 'review', id: 'id' };

describe('a batch of documents', () => {
  test('answers CSV with CSV, row by row beside its columns', async () => {
    const output = { format: 'csv', join: true };
    const batch = await run(csvOf(texts), { documents: CSV, output });
    assert.equal(batch.status, 'completed', JSON.stringify(batch));
    assert.deepEqual(batch.request_counts, { total: 90, completed: 90, failed: 0 });
    const [header, ...rows] = (await bytesOf(batch.output_file_id)).toString().trim().split('\n');
    assert.equal(header, 'id,review,label,score,truncated,error');
    assert.equal(rows.length, 90);
    for (const [i, row] of rows.entries()) {
      assert.match(row, new RegExp(`^r${i},the cat number ${i},\\w+,0\\.\\d+,false,$`));
    }
  });

  test('answers Parquet with Parquet, with the types of both', async () => {
    const columnData = [
      { name: 'review', data: texts, type: 'STRING' as const },
      { name: 'stars', data: texts.map((_, i) => BigInt(i)), type: 'INT64' as const },
    ];
    const content = new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 40 }));
    const documents = { format: 'parquet', text: 'review' };
    const embed = { model: 'tiny-embedder', documents };
    const batch = await run(content, { ...embed, output: { format: 'parquet', join: true } });
    assert.equal(batch.status, 'completed', JSON.stringify(batch));
    const bytes = new Uint8Array(await bytesOf(batch.output_file_id));
    const rows = await parquetReadObjects({ file: bytes.buffer });
    assert.equal(rows.length, 90);
    for (const [i, row] of rows.entries()) {
      assert.equal(row.review, texts[i]);
      assert.equal(row.stars, BigInt(i));
      assert.ok(Array.isArray(row.embedding) && row.embedding.length > 0);
    }
  });

  test('comes to the same answers from every format, packed or not', async () => {
    const jsonl = texts.map((review) => JSON.stringify({ review })).join('\n');
    const tsv = `review\n${texts.join('\n')}`;
    const forms: [string | Uint8Array, object][] = [
      [jsonl, { format: 'jsonl', text: 'review' }],
      [gzipSync(jsonl), { format: 'jsonl', text: 'review' }],
      [tsv, { format: 'tsv', text: 'review' }],
      [texts.join('\r\n'), { format: 'text' }],
      [gzipSync(texts.join('\n')), { format: 'text', compression: 'gzip' }],
      [csvOf(texts), { format: 'csv', text: 'review' }],
    ];
    const answers = await Promise.all(
      forms.map(async ([content, documents]) => {
        const { output_file_id } = await run(content, { documents });
        const lines = await linesOf(output_file_id);
        return lines.map(({ line, ...answer }) => answer);
      }),
    );
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    assert.equal(answers[0]?.length, 90);
  });

  test('says which rows failed and why, and leaves none out', async () => {
    const rows = [
      { review: 'good', label: 'mine', n: 1 },
      'no object',
      { review: '' },
      { other: 1 },
      { review: 7 },
      { review: 'good too' },
    ];
    const jsonl = rows.map((row) => JSON.stringify(row)).join('\n');
    const documents = { format: 'jsonl', text: 'review' };
    const batch = await run(`${jsonl}\n{`, { documents, output: { join: true } });
    assert.deepEqual(batch.request_counts, { total: 7, completed: 2, failed: 5 });
    const out = await linesOf(batch.output_file_id);
    assert.deepEqual(
      out.map(({ error }) => error),
      [null, 'invalid_request', 'empty_text', ...Array(2).fill('invalid_request')].concat([
        null,
        'invalid_request',
      ]),
    );
    assert.equal(out[0]?.label, 'mine');
    assert.ok(out[0]?.headrace_label);
    const errors = await linesOf(batch.error_file_id);
    assert.deepEqual(
      errors.map(({ line }) => line),
      [2, 3, 4, 5, 7],
    );
    assert.match(JSON.stringify(errors[2]), /review: is missing/);
  });

  test('that cannot be read fails with the line and the reason', async () => {
    const failures: [string | Uint8Array, object, string, number | null][] = [
      ['a,b\n1,2', CSV, 'missing_column', null],
      ['id,review\n1,"x\n2,y', CSV, 'invalid_csv', 2],
      [gzipSync(csvOf(texts)).subarray(0, 60), CSV, 'invalid_compression', null],
      ['not parquet at all', { format: 'parquet', text: 'review' }, 'invalid_parquet', null],
      ['\n\n', CSV, 'empty_file', null],
      ['\n', { format: 'text' }, 'empty_file', null],
    ];
    for (const [content, documents, code, line] of failures) {
      const batch = await run(content, { documents });
      assert.equal(batch.status, 'failed');
      assert.deepEqual([batch.errors?.data[0]?.code, batch.errors?.data[0]?.line], [code, line]);
    }
  });

  test('is refused for what is wrong with the request', async () => {
    const input_file_id = await upload('a');
    const documents = { format: 'text' };
    const wrong: [object, string][] = [
      [{}, 'endpoint'],
      [{ endpoint: '/v1/jobs', model: MODEL }, 'model'],
      [{ documents }, 'model'],
      [{ model: MODEL }, 'documents'],
      [{ model: 'nope', documents }, 'model'],
      [{ model: MODEL, documents: { format: 'xml' } }, 'documents.format'],
      [{ model: MODEL, documents, parameters: { top_k: 0 } }, 'parameters.top_k'],
      [{ model: MODEL, documents: { ...documents, text_pair: 'b' } }, 'documents.text_pair'],
      [{ model: MODEL, documents, completion_window: '8d' }, 'completion_window'],
      [{ model: MODEL, documents, output: { format: 'xls' } }, 'output.format'],
    ];
    for (const [request, param] of wrong) {
      const { status, body } = await call('', { input_file_id, ...request });
      assert.ok(status === 400 || status === 404, JSON.stringify(body));
      assert.equal(
        z.object({ error: z.object({ param: z.string() }) }).parse(body).error.param,
        param,
      );
    }
  });
});

const Results = z.object({
  data: z.array(z.record(z.string(), z.unknown())),
  has_more: z.boolean(),
  next: z.string(),
  finished: z.boolean(),
});

describe('steering a batch', () => {
  /** All rows of a batch, page by page, until it says that no more will come. */
  async function follow(id: string): Promise<unknown[]> {
    const read: unknown[] = [];
    let after = '';
    for (;;) {
      const { body } = await call(`/${id}/results?limit=7${after}`);
      const page = Results.parse(body);
      read.push(...page.data);
      after = `&after=${page.next}`;
      if (page.finished) return read;
      if (!page.has_more) await sleep(20);
    }
  }

  test('its finished rows can be read while it runs, in order and without gaps', async () => {
    const many = Array.from({ length: 600 }, (_, i) => `the cat number ${i}`);
    const { id } = await create(many.join('\n'), { documents: { format: 'text' } });
    const read = await follow(id);
    assert.deepEqual(read, await linesOf((await finished(id)).output_file_id));
    assert.equal(read.length, 600);
    assert.equal((await call(`/${id}/results?after=x`)).status, 400);
  });

  test('the rows of a table are read to their end, also once it is a file', async () => {
    const many = Array.from({ length: 100 }, (_, i) => `the cat number ${i}`).join('\n');
    const documents = { format: 'text' };
    const lines = await linesOf((await run(many, { documents })).output_file_id);
    for (const format of ['csv', 'parquet']) {
      const { id } = await create(many, { documents, output: { format } });
      const followed = await follow(id);
      await finished(id);
      assert.deepEqual([followed, await follow(id)], [lines, lines]);
    }
  });

  test('a dry run checks, counts and estimates, and runs nothing', async () => {
    const rows = [...texts, '', 'the cat '.repeat(200)].map((review) => JSON.stringify({ review }));
    const documents = { format: 'jsonl', text: 'review' };
    const batch = await run(rows.join('\n'), { documents, dry_run: true });
    assert.equal(batch.status, 'completed');
    assert.deepEqual([batch.output_file_id, batch.error_file_id], [null, null]);
    assert.deepEqual(batch.request_counts, { total: 92, completed: 0, failed: 0 });
    const { estimate } = batch;
    assert.ok(estimate?.seconds);
    assert.deepEqual(
      [estimate.rows, estimate.invalid_rows, estimate.sampled_rows, estimate.truncated_rows],
      [91, 1, 91, 1],
    );
    assert.ok(estimate.tokens > 91 * 5 && estimate.seconds.low <= estimate.seconds.high);
  });

  test('a pause holds it until it is resumed, a cancel ends it, a retry runs what was left', async () => {
    const many = Array.from({ length: 2_000 }, (_, i) => `the cat number ${i}`);
    const { id } = await create(many.join('\n'), { documents: { format: 'text' } });
    await call(`/${id}/pause`, {});
    await sleep(500);
    const paused = BatchSchema.parse((await call(`/${id}`)).body);
    assert.ok(paused.paused && paused.progress.rows_done < 2_000, JSON.stringify(paused));
    await sleep(500);
    const later = BatchSchema.parse((await call(`/${id}`)).body);
    assert.equal(later.progress.rows_done, paused.progress.rows_done);
    assert.equal((await call(`/${id}/retry`, {})).status, 409);
    await call(`/${id}/cancel`, {});
    const cancelled = await finished(id);
    assert.equal(cancelled.status, 'cancelled');
    const done = await linesOf(cancelled.output_file_id);
    const left = await linesOf(cancelled.error_file_id);
    assert.equal(done.length + left.length, 2_000);

    const { status, body } = await call(`/${id}/retry`, {});
    assert.equal(status, 200, JSON.stringify(body));
    const again = await finished(BatchSchema.parse(body).id);
    assert.equal(again.retry_of, id);
    assert.equal(again.request_counts.completed, left.length);
    const lines = (await linesOf(again.output_file_id)).map(({ line }) => line);
    assert.deepEqual(
      lines,
      left.map(({ line }) => line),
    );
    const whole = await call(`/${again.id}/retry`, {});
    assert.equal(whole.status, 400);
  });
});
