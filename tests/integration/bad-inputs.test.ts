import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { type BatchClient, createBatchClient, jobLine } from '../helpers/batch-client.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { startWorker } from '../helpers/processes.ts';

const MIB = 1024 * 1024;
const REQUESTS = { endpoint: '/v1/jobs' };
const documents = (format: string, more: object = {}) => ({
  ...{ model: 'tiny-classifier', documents: { format, ...more } },
});

let system: BulkSystem;
let batches: BatchClient;
/** Peaks of dispatcher and worker before the first batch. */
let idle: (number | null)[] = [];
before(async () => {
  system = await startBulkSystem({ HEADRACE_MAX_INPUT_BYTES: String(5 * MIB) });
  idle = [peakBytes(system.dispatcher.pid), peakBytes(system.worker.pid)];
  batches = createBatchClient(system);
});
after(() => system.stop());

function parquet(text: unknown[], codec: 'UNCOMPRESSED' | 'LZO' = 'UNCOMPRESSED'): Uint8Array {
  const columnData = [{ name: 'text', data: text }];
  const compressors = { LZO: (bytes: Uint8Array) => bytes };
  return new Uint8Array(parquetWriteBuffer({ columnData, codec, compressors }));
}

const texts = Array.from({ length: 50 }, (_, i) => `the cat number ${i}`);
const csv = `text\n${texts.join('\n')}\n`;
/** Sound, but for the bytes at its end. */
const ending = (bytes: Uint8Array, end: string) =>
  Buffer.concat([bytes.subarray(0, -end.length), Buffer.from(end, 'latin1')]);

interface Refused {
  content: string | Uint8Array;
  request: object;
  code: string;
  line: number | null;
  message: RegExp;
}

const refused: Record<string, Refused> = {
  'that is not JSONL': {
    ...{ content: 'a,b\n1,2\n', request: REQUESTS, code: 'invalid_request', line: 1 },
    message: /not valid JSON/,
  },
  'in UTF-16': {
    ...{ content: Buffer.from(`\ufeff${jobLine(1)}\n`, 'utf16le'), request: REQUESTS },
    ...{ code: 'invalid_request', line: 1, message: /not valid UTF-8/ },
  },
  'of a model that there is not': {
    content: JSON.stringify({ ...JSON.parse(jobLine(1)), body: { model: 'nope', input: 'a' } }),
    ...{ request: REQUESTS, code: 'model_not_found', line: 1, message: /body\.model/ },
  },
  'for another endpoint': {
    content: jobLine(1).replace('/v1/jobs', '/v1/embeddings'),
    ...{ request: REQUESTS, code: 'invalid_request', line: 1, message: /^url: must be \/v1\/jobs/ },
  },
  'with nothing but a byte order mark': {
    ...{ content: '\ufeff', request: REQUESTS, code: 'empty_file', line: null, message: /no rows/ },
  },
  'of blank lines': {
    ...{ content: '\r\n \n\t\n', request: REQUESTS, code: 'empty_file', line: null },
    message: /no rows/,
  },
  'of CSV with only a header': {
    ...{ content: 'text\n', request: documents('csv'), code: 'empty_file', line: null },
    message: /no rows/,
  },
  'of CSV without the column': {
    ...{ content: 'a,b\n1,2\n', request: documents('csv'), code: 'missing_column', line: null },
    message: /no column text; there are a, b/,
  },
  'of CSV with a column twice': {
    ...{ content: 'text,text\n1,2\n', request: documents('csv'), code: 'duplicate_column' },
    ...{ line: null, message: /text/ },
  },
  'of CSV with a quote that is not closed': {
    ...{ content: 'text\na\n"b\nc\n', request: documents('csv'), code: 'invalid_csv', line: 3 },
    message: /never closed/,
  },
  'of CSV with one line of 50 MB': {
    content: Buffer.concat([Buffer.from('text\n'), Buffer.alloc(50 * MIB, 'x')]),
    ...{ request: documents('csv'), code: 'invalid_csv', line: 2, message: /more than 4 MiB/ },
  },
  'of gzip that ends too early': {
    content: gzipSync(csv).subarray(0, -12),
    ...{ request: documents('csv'), code: 'invalid_compression', line: null, message: /too early/ },
  },
  'of zstd that ends too early': {
    content: zstdCompressSync(csv).subarray(0, -5),
    ...{ request: documents('csv'), code: 'invalid_compression', line: null, message: /zstd/ },
  },
  'that is a gzip bomb': {
    content: gzipSync(`text\n${`${'text '.repeat(50)}\n`.repeat(1_600_000)}`),
    ...{ request: documents('csv'), code: 'input_too_large', line: null, message: /5242880/ },
  },
  'that is a gzip bomb of many short rows': {
    content: gzipSync(`text\n${'the\n'.repeat(4_000_000)}`),
    ...{ request: documents('csv'), code: 'input_too_large', line: null, message: /5242880/ },
  },
  'that is a zstd bomb of one line': {
    content: zstdCompressSync(Buffer.alloc(400 * MIB, 'x')),
    ...{ request: REQUESTS, code: 'input_too_large', line: null, message: /5242880/ },
  },
  'of Parquet that is none': {
    ...{ content: csv, request: documents('parquet'), code: 'invalid_parquet', line: null },
    message: /does not end/,
  },
  'of Parquet with a broken footer': {
    content: parquet(texts).fill(7, -40, -8),
    ...{ request: documents('parquet'), code: 'invalid_parquet', line: null, message: /footer/ },
  },
  'of Parquet with a footer as long as it says': {
    content: ending(parquet(texts), '\xff\xff\xff\x7fPAR1'),
    ...{ request: documents('parquet'), code: 'invalid_parquet', line: null, message: /the limit/ },
  },
  'of Parquet that is encrypted': {
    content: ending(parquet(texts), 'PARE'),
    ...{ request: documents('parquet'), code: 'invalid_parquet', line: null, message: /encrypted/ },
  },
  'of Parquet with a codec that nobody has': {
    content: parquet(texts, 'LZO'),
    ...{ request: documents('parquet'), code: 'invalid_parquet', line: 1 },
    message: /not supported in row group 1/,
  },
};

/** The most memory that a process had, in bytes; null where nothing tells. */
function peakBytes(pid: number): number | null {
  try {
    const [, kib] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    return null;
  }
}

describe('an input', () => {
  for (const [name, { content, request, code, line, message }] of Object.entries(refused)) {
    test(`${name} fails the batch, with the reason and the line`, async () => {
      const batch = await batches.run(content, request);
      assert.equal(batch.status, 'failed');
      const [error] = batch.errors?.data ?? [];
      assert.deepEqual([error?.code, error?.line], [code, line]);
      assert.match(error?.message ?? '', message);
      assert.equal(typeof batch.failed_at, 'number');
      assert.deepEqual([batch.output_file_id, batch.error_file_id], [null, null]);
    });
  }

  test('that is empty is not even uploaded', async () => {
    await assert.rejects(batches.upload(''), { status: 400 });
  });

  test('with bad rows among good ones has each in the error file, by its line', async () => {
    const good = (i: number) => Buffer.from(jobLine(i));
    const lines: Buffer[] = [
      Buffer.from(`\ufeff${jobLine(1)}\r`),
      Buffer.alloc(50 * MIB, 'x'),
      good(3),
      Buffer.from([...Buffer.from('{"custom_id":"'), 0xff, ...Buffer.from('"}')]),
      Buffer.from(jobLine(5, 'a\0b').replace('\\u0000', '\0')),
      Buffer.from(jobLine(6, 'a\0b')),
      Buffer.from('null'),
      Buffer.from(jobLine(8, '')),
      Buffer.from(`${'['.repeat(50_000)}${']'.repeat(50_000)}`),
      good(3),
      Buffer.from('   '),
      Buffer.from(jobLine(12, 7)),
      Buffer.from('{"__proto__":{"custom_id":"x"}}'),
      good(14),
    ];
    const content = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]).slice(0, -1));
    const batch = await batches.run(content, REQUESTS);
    assert.equal(batch.status, 'completed', JSON.stringify(batch.errors));
    const numbers = async (id: string | null) =>
      (await batches.linesOf(id)).map(({ line }) => line);
    assert.deepEqual(await numbers(batch.output_file_id), [1, 3, 6, 14]);
    assert.deepEqual(await numbers(batch.error_file_id), [2, 4, 5, 7, 8, 9, 10, 12, 13]);
    assert.deepEqual(batch.request_counts, { total: 13, completed: 4, failed: 9 });
    for (const row of await batches.linesOf(batch.error_file_id)) {
      assert.match(JSON.stringify(row), /"message":"[^"]+"/);
    }
  });

  test('of documents with bad rows loses none of them', async () => {
    const rows = Buffer.concat([
      ...[Buffer.from('id,text\n1,good\n2\n3,a,b\n4,'), Buffer.from([0xc3, 0x28])],
      Buffer.from('\n5,\n6,a\0b\n7,"two\nlines"\n8,"x" y\n9,last'),
    ]);
    const batch = await batches.run(rows, documents('csv', { id: 'id' }));
    assert.equal(batch.status, 'completed', JSON.stringify(batch.errors));
    const output = await batches.linesOf(batch.output_file_id);
    assert.equal(output.length, 9);
    const failed = await batches.linesOf(batch.error_file_id);
    assert.deepEqual(
      failed.map(({ line }) => line),
      [3, 4, 5, 6],
    );
  });

  test('of Parquet with texts that are none has every row in the error file', async () => {
    const nested = texts.map((text, i) => (i % 2 === 0 ? { inner: text } : { inner: null }));
    const batch = await batches.run(parquet(nested), documents('parquet'));
    assert.match(batch.status, /^(failed|completed)$/);
    const errors = batch.errors?.data ?? [];
    assert.equal(errors.length, 50);
    for (const [i, error] of errors.entries()) {
      assert.deepEqual([error.line, error.param], [i + 1, 'text']);
    }
  });

  test('that is deleted while it is scored fails the batch, and what is done is kept', async () => {
    await system.worker.stop();
    const input_file_id = await batches.upload(`${texts.map((_, i) => jobLine(i)).join('\n')}\n`);
    const { id } = await batches.post('', { input_file_id, ...REQUESTS });
    await batches.until(id, ({ status }) => status === 'in_progress');
    await system.client.files.delete(input_file_id);
    system.worker = await startWorker({ env: system.env });
    const batch = await batches.finished(id);
    assert.deepEqual([batch.status, batch.errors?.data[0]?.code], ['failed', 'input_file_gone']);
  });

  test('of all of these has left the memory of the processes flat', (t) => {
    const { dispatcher, worker } = system;
    const peaks = [peakBytes(dispatcher.pid), peakBytes(worker.pid)];
    const grown = peaks.map((peak, i) => ((peak ?? 0) - (idle[i] ?? 0)) / MIB);
    if (peaks.includes(null)) return t.skip('needs /proc');
    t.diagnostic(`dispatcher and worker, above idle: ${grown.map(Math.round).join(' and ')} MiB`);
    for (const mib of grown) assert.ok(mib <= 256, String(grown));
  });
});
