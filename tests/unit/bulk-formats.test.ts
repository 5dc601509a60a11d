import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { openBlobStore } from '@headrace/shared/blobs/index.ts';
import { type Line, splitLines } from '@headrace/shared/bulk/lines.ts';
import { decodeStaged, encodeStaged, type StagedRow } from '@headrace/shared/bulk/staged-line.ts';
import { answerNames, type Column, ColumnFinder } from '@headrace/shared/bulk/table.ts';
import { storedBlob } from '@headrace/shared/inputs/readable-blob.ts';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { compressionOf, expand } from '../../apps/dispatcher/src/formats/compression.ts';
import { csvRows } from '../../apps/dispatcher/src/formats/csv.ts';
import { failedRows } from '../../apps/dispatcher/src/formats/failed-rows.ts';
import { openParquet } from '../../apps/dispatcher/src/formats/parquet-input.ts';
import { writeRows } from '../../apps/dispatcher/src/formats/write-rows.ts';

const folder = mkdtempSync(join(tmpdir(), 'headrace-formats-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const blobs = await openBlobStore(folder);

/** Content in pieces of so many bytes. */
function inPieces(content: Uint8Array | string, bytes = 7): Readable {
  const all = Buffer.from(content);
  const count = Math.ceil(all.length / bytes);
  return Readable.from(
    Array.from({ length: count }, (_, i) => all.subarray(i * bytes, (i + 1) * bytes)),
  );
}

async function all(groups: AsyncIterable<StagedRow[]>) {
  const rows: StagedRow[] = [];
  for await (const some of groups) rows.push(...some);
  return rows.map(({ number, content, problem }) => [
    number,
    content === null ? problem : JSON.parse(content),
  ]);
}

function csv(content: string | Uint8Array, delimiter: ',' | '\t' = ',') {
  return all(
    csvRows(inPieces(content, content.length > 1e6 ? 1e5 : 7), {
      delimiter,
      choose: (header) => header,
    }),
  );
}

describe('CSV', () => {
  test('gives the rows by the line on which they begin', async () => {
    const content = '\ufeffid,text\r\n1,"a ""b"", c"\r\n\r\n2,"two\nlines"\r\n3,last';
    assert.deepEqual(await csv(content), [
      [2, { id: '1', text: 'a "b", c' }],
      [4, { id: '2', text: 'two\nlines' }],
      [6, { id: '3', text: 'last' }],
    ]);
  });

  test('counts no line for a carriage return within a field, and still finds what is no text', async () => {
    const bytes = Buffer.concat([
      Buffer.from('a,b\r\n1,"two\r\nlines"\r\n\r\n2,x\ry\n"3\r",'),
      Buffer.from([0xff]),
      Buffer.from('\n4,z\r\r\n5,"never'),
    ]);
    const expected = [
      [2, { a: '1', b: 'two\r\nlines' }],
      [5, { a: '2', b: 'x\ry' }],
      [6, 'the row is not valid UTF-8'],
      [7, { a: '4', b: 'z\r' }],
    ];
    assert.deepEqual(await csv(bytes.subarray(0, bytes.lastIndexOf('5'))), expected);
    await assert.rejects(csv(bytes), { code: 'invalid_csv', line: 8 });
  });

  test('with tabs keeps commas and quotes within a field', async () => {
    assert.deepEqual(await csv('text\tn\na, "b"\t1\n', '\t'), [[2, { text: 'a, "b"', n: '1' }]]);
  });

  test('names the rows that are wrong, and goes on', async () => {
    const bytes = Buffer.concat([
      Buffer.from('a,b\n1\n2,3,4\n5,'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('\n6,\ufffd\n7,"x"y\n'),
    ]);
    assert.deepEqual(await csv(bytes), [
      [2, 'the row has 1 fields, the header has 2'],
      [3, 'the row has 3 fields, the header has 2'],
      [4, 'the row is not valid UTF-8'],
      [5, { a: '6', b: '\ufffd' }],
      [6, { a: '7', b: '"x"y' }],
    ]);
  });

  test('with a quote that never ends is refused with its line', async () => {
    const broken = csv('a,b\n1,x\n2,"y\n3,z\n');
    await assert.rejects(broken, { code: 'invalid_csv', line: 3, message: /never closed/ });
    const long = csv(`a,b\n1,"${'x'.repeat(5 * 1024 ** 2)}"\n`);
    await assert.rejects(long, { code: 'invalid_csv', line: 2 });
    await assert.rejects(csv(''), { code: 'empty_file' });
    const cut = expand(inPieces(gzipSync('a,b\n1,2').subarray(0, -9)), 'gzip', 1e6);
    const rows = csvRows(cut, { delimiter: ',', choose: (header) => header });
    await assert.rejects(all(rows), { code: 'invalid_compression' });
  });
});

describe('a compressed input', () => {
  const text = 'a line\n'.repeat(1_000);
  const packed = { gzip: gzipSync(text), zstd: zstdCompressSync(text) };

  for (const kind of ['gzip', 'zstd'] as const) {
    test(`of ${kind} is known by its first bytes, and expanded`, async () => {
      await blobs.put(`files/${kind}`, inPieces(packed[kind]));
      assert.equal(await compressionOf(storedBlob(blobs, `files/${kind}`), 'auto'), kind);
      const expanded = Readable.from(expand(inPieces(packed[kind]), kind, 1e6));
      assert.equal((await buffer(expanded)).toString(), text);
    });

    test(`of ${kind} that ends too early, is broken or a bomb is refused`, async () => {
      const read = (bytes: Buffer, most = 1e6) =>
        buffer(Readable.from(expand(inPieces(bytes), kind, most)));
      const cut = read(packed[kind].subarray(0, -6));
      await assert.rejects(cut, { code: 'invalid_compression' });
      await assert.rejects(read(Buffer.from('no such data')), { code: 'invalid_compression' });
      await assert.rejects(read(packed[kind], 1_000), { code: 'input_too_large' });
    });
  }

  test('may be anything else, and empty', async () => {
    await blobs.put('files/plain', inPieces('{}'));
    await blobs.put('files/empty', inPieces(''));
    assert.equal(await compressionOf(storedBlob(blobs, 'files/plain'), 'auto'), 'none');
    assert.equal(await compressionOf(storedBlob(blobs, 'files/empty'), 'auto'), 'none');
  });
});

describe('Parquet', () => {
  const columnData = [
    { name: 'text', data: ['a', null, 'c'], type: 'STRING' as const },
    { name: 'n', data: [1n, 2n, 2n ** 60n], type: 'INT64' as const },
    { name: 'x', data: [0.5, null, 2], type: 'DOUBLE' as const },
    { name: 'at', data: [new Date(0), new Date(1), new Date(2)], type: 'TIMESTAMP' as const },
  ];

  test('is read row group by row group, with its types', async () => {
    const bytes = new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 2 }));
    await blobs.put('files/parquet', inPieces(bytes, 1_000));
    const input = await openParquet(storedBlob(blobs, 'files/parquet'));
    assert.deepEqual(
      input.columns.map(({ name, type }) => [name, type]),
      [
        ['text', 'string'],
        ['n', 'int64'],
        ['x', 'double'],
        ['at', 'string'],
      ],
    );
    assert.deepEqual(await all(input.rows({ choose: (names) => names })), [
      [1, { text: 'a', n: 1, x: 0.5, at: '1970-01-01T00:00:00.000Z' }],
      [2, { text: null, n: 2, x: null, at: '1970-01-01T00:00:00.001Z' }],
      [3, { text: 'c', n: String(2n ** 60n), x: 2, at: '1970-01-01T00:00:00.002Z' }],
    ]);
    assert.deepEqual(await all(input.rows({ choose: () => ['text'] })), [
      [1, { text: 'a' }],
      [2, { text: null }],
      [3, { text: 'c' }],
    ]);
  });

  test('with a broken footer, or none, is refused', async () => {
    const bytes = new Uint8Array(parquetWriteBuffer({ columnData }));
    for (const content of [bytes.slice(0, -3), bytes.fill(7, -20, -8), new Uint8Array(3)]) {
      await blobs.put('files/broken', inPieces(content, 1_000));
      await assert.rejects(openParquet(storedBlob(blobs, 'files/broken')), {
        code: 'invalid_parquet',
      });
    }
  });

  test('with broken pages is refused with the row from which on it is', async () => {
    const bytes = new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 2 }));
    const { row_groups } = parquetMetadata(bytes.buffer);
    const page = Number(row_groups[1]?.columns[0]?.meta_data?.data_page_offset ?? 0);
    bytes.fill(0xff, page, page + 20);
    await blobs.put('files/pages', inPieces(bytes, 1_000));
    const input = await openParquet(storedBlob(blobs, 'files/pages'));
    const rows = all(input.rows({ choose: (names) => names }));
    await assert.rejects(rows, { code: 'invalid_parquet', line: 3 });
  });
});

const COLUMNS: Column[] = [
  { name: 's', type: 'string' },
  { name: 'i', type: 'int64' },
  { name: 'd', type: 'double' },
  { name: 'b', type: 'boolean' },
  { name: 'j', type: 'json' },
  { name: 'v', type: 'floats' },
];
const ROWS = [
  { s: 'a "b",\nc', i: 3, d: 0.25, b: true, j: { k: [1] }, v: [0.5, -1] },
  { s: null, i: null, d: null, b: null, j: null, v: null },
  { s: 'ü', i: 2 ** 40, d: 3, b: false, j: 'text', v: [] },
];

function written(format: 'jsonl' | 'csv' | 'parquet', pieceBytes: number): Promise<Buffer> {
  const lines = ROWS.map((row) => `${JSON.stringify(row)}\n`).join('');
  const content = inPieces(lines, pieceBytes);
  return buffer(Readable.from(writeRows(content, { format, columns: COLUMNS })));
}

describe('the output', () => {
  for (const format of ['jsonl', 'csv', 'parquet'] as const) {
    test(`as ${format} is the same however its rows come`, async () => {
      const whole = await written(format, 1e6);
      for (const bytes of [1, 50]) assert.deepEqual(await written(format, bytes), whole);
    });
  }

  test('as CSV has a header, and JSON for what is no plain value', async () => {
    const rows = ['3,0.25,true,"{""k"":[1]}","[0.5,-1]"', ',,,,', '1099511627776,3,false,text,[]'];
    const [first, second, third] = rows;
    const text = `s,i,d,b,j,v\n"a ""b"",\nc",${first}\n,${second}\nü,${third}\n`;
    assert.equal((await written('csv', 1e6)).toString(), text);
  });

  test('as Parquet has the types of its columns', async () => {
    const bytes = await written('parquet', 1e6);
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    assert.ok(file instanceof ArrayBuffer);
    const found = await parquetReadObjects({ file });
    const expected = ROWS.map(({ i, v, ...row }) => ({
      ...{ s: row.s, i: i === null ? null : BigInt(i) },
      ...row,
      // The reader says so of a list that is null.
      v: v ?? undefined,
    }));
    assert.deepEqual(JSON.stringify(found, big), JSON.stringify(expected, big));
    assert.equal(parquetMetadata(file).created_by, 'headrace');
  });
});

function big(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}

describe('staged rows', () => {
  test('come back with their number, their content or their problem', async () => {
    const rows: StagedRow[] = [
      { number: 3, content: '!a\ttext', problem: null },
      { number: 12, content: null, problem: 'why' },
      { number: 13, content: '', problem: null },
    ];
    const lines: Line[] = [];
    const options = { maxLineBytes: 100 };
    for await (const some of splitLines(inPieces(rows.map(encodeStaged).join(''), 1e6), options)) {
      lines.push(...some.map(decodeStaged));
    }
    assert.deepEqual(
      lines.map(({ number, bytes, problem }) => [
        number,
        problem ?? Buffer.from(bytes ?? []).toString(),
      ]),
      [
        [3, '!a\ttext'],
        [12, 'why'],
        [13, ''],
      ],
    );
  });

  test('of a retry are those that failed for a reason that may pass', async () => {
    const lines = [
      { line: 2, error: { code: 'invalid_request' } },
      { line: 3, error: { code: 'row_timed_out' } },
      { line: 5, error: null, response: { body: { error: { code: 'empty_text' } } } },
      { line: 6, error: null, response: { body: { error: { code: 'internal' } } } },
      { line: 9, error: { code: 'batch_expired' }, response: null },
    ];
    const errors = inPieces(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const rows = Array.from({ length: 10 }, (_, i) => ({
      ...{ number: i + 1, content: String(i), problem: null },
    }));
    const found = await all(failedRows(Readable.from([rows.slice(0, 4), rows.slice(4)]), errors));
    assert.deepEqual(
      found.map(([number]) => number),
      [3, 6, 9],
    );
  });
});

describe('the columns of rows', () => {
  test('are found with a type that fits all their values', () => {
    const finder = new ColumnFinder();
    finder.add({ a: 1, b: 'x', c: true, d: null, e: 1, f: [1] });
    finder.add({ a: 0.5, b: 1, c: true, d: 'x', g: 1, e: null });
    assert.deepEqual(
      finder.columns.map(({ name, type }) => `${name} ${type}`),
      ['a double', 'b json', 'c boolean', 'd string', 'e int64', 'f json', 'g int64'],
    );
    for (let i = 0; i < 2_000; i++) finder.add({ [`n${i}`]: 1 });
    assert.equal(finder.bounded, false);
  });

  test('of an answer make way for those of the input', () => {
    const answer: Column[] = [
      { name: 'label', type: 'string' },
      { name: 'score', type: 'double' },
    ];
    assert.deepEqual(answerNames(answer, [{ name: 'label', type: 'int64' }]), [
      'headrace_label',
      'score',
    ]);
  });
});
