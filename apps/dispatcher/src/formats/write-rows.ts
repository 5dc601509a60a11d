import type { OutputFormat } from '@headrace/shared/bulk/documents.ts';
import { splitLines } from '@headrace/shared/bulk/lines.ts';
import type { Column } from '@headrace/shared/bulk/table.ts';
import { stringify } from 'csv-stringify/sync';
import { ParquetRows } from './parquet-output.ts';

export type Row = Record<string, unknown>;

/** Longer than any row that a worker writes: an input row of 4 MiB and its answer. */
const MAX_ROW_BYTES = 64 * 1024 ** 2;

/**
 * Lines of JSON objects in the format of the output. The same lines give the same bytes, however
 * they come in pieces.
 * @param lines each with all of the columns, in their order
 */
export async function* writeRows(
  lines: AsyncIterable<Uint8Array>,
  { format, columns }: { format: OutputFormat; columns: Column[] },
): AsyncGenerator<Uint8Array> {
  if (format === 'jsonl') {
    yield* lines;
    return;
  }
  const rows = readRows(lines);
  yield* format === 'csv' ? writeCsv(rows, columns) : writeParquet(rows, columns);
}

async function* readRows(lines: AsyncIterable<Uint8Array>): AsyncGenerator<Row[]> {
  for await (const some of splitLines(lines, { maxLineBytes: MAX_ROW_BYTES })) {
    yield some.map(({ bytes }) => JSON.parse(Buffer.from(bytes ?? []).toString()));
  }
}

async function* writeCsv(rows: AsyncIterable<Row[]>, columns: Column[]) {
  const names = columns.map(({ name }) => name);
  yield Buffer.from(stringify([names]));
  for await (const some of rows) {
    yield Buffer.from(stringify(some.map((row) => names.map((name) => csvCell(row[name])))));
  }
}

/** What is neither text nor number stands as JSON; nothing stands for null. */
function csvCell(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === null || value === undefined ? '' : JSON.stringify(value);
}

async function* writeParquet(rows: AsyncIterable<Row[]>, columns: Column[]) {
  const file = new ParquetRows(columns);
  for await (const some of rows) {
    for (const row of some) {
      const bytes = file.add(row);
      if (bytes !== null) yield bytes;
    }
  }
  yield file.end();
}
