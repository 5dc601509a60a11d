import { buffer } from 'node:stream/consumers';
import { BlobError } from '@headrace/shared/blobs/blob-store.ts';
import type { StagedRow } from '@headrace/shared/bulk/staged-line.ts';
import type { Column, ColumnType } from '@headrace/shared/bulk/table.ts';
import type { ReadableBlob } from '@headrace/shared/inputs/readable-blob.ts';
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type SchemaTree,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { FormatError } from './format-error.ts';

interface ParquetOptions {
  /** Checks the columns. @returns those that are wanted; throws FormatError */
  choose: (names: string[]) => string[];
}

/** A row group is held whole, as it is and as rows. */
const MAX_GROUP_BYTES = 1024 ** 3;
const MAX_GROUP_ROWS = 50_000_000;
const MAX_FOOTER_BYTES = 64 * 1024 ** 2;
/** Length of the footer, and four letters. */
const TAIL_BYTES = 8;
const ROWS_A_STEP = 256;

/** A Parquet file of which only the footer has been read. */
export interface ParquetInput {
  columns: Column[];
  /** The rows as JSON objects of the chosen columns, row group by row group, numbered from 1. */
  rows(options: ParquetOptions): AsyncGenerator<StagedRow[]>;
}

/** @throws FormatError when it is no Parquet file */
export async function openParquet(input: ReadableBlob): Promise<ParquetInput> {
  const info = await input.stat();
  if (info === null) throw new BlobError('missing', 'the input is gone');
  const file: AsyncBuffer = {
    byteLength: info.sizeBytes,
    async slice(start, end = info.sizeBytes) {
      const bytes = await buffer(await input.read({ start, end }));
      return bytes.buffer.slice(
        bytes.byteOffset,
        bytes.byteOffset + bytes.byteLength,
      ) as ArrayBuffer;
    },
  };
  await checkTail(file);
  const metadata = await reading('the footer', () => parquetMetadataAsync(file));
  checkColumns(metadata);
  return {
    columns: parquetSchema(metadata).children.map(columnOf),
    rows: (options) => readRows(file, metadata, options),
  };
}

/** Before anything is read of a length that the file itself names. */
async function checkTail(file: AsyncBuffer): Promise<void> {
  if (file.byteLength < TAIL_BYTES) throw invalid('The file is too short to be Parquet.');
  const tail = Buffer.from(await file.slice(file.byteLength - TAIL_BYTES));
  const letters = tail.toString('latin1', TAIL_BYTES / 2);
  if (letters === 'PARE') throw invalid('The Parquet file is encrypted.');
  if (letters !== 'PAR1') throw invalid('The file does not end as a Parquet file does.');
  const bytes = tail.readUInt32LE(0);
  if (bytes <= MAX_FOOTER_BYTES) return;
  throw invalid(`The footer has ${bytes} bytes, the limit is ${MAX_FOOTER_BYTES}.`);
}

function checkColumns(metadata: FileMetaData): void {
  const columns = metadata.row_groups.flatMap((group) => group.columns);
  if (columns.some(({ crypto_metadata }) => crypto_metadata !== undefined)) {
    throw invalid('Columns of the Parquet file are encrypted.');
  }
}

function invalid(message: string, row: number | null = null): FormatError {
  return new FormatError('invalid_parquet', message, row);
}

async function* readRows(
  file: AsyncBuffer,
  metadata: FileMetaData,
  { choose }: ParquetOptions,
): AsyncGenerator<StagedRow[]> {
  const columns = choose(parquetSchema(metadata).children.map(({ element }) => element.name));
  let rowStart = 0;
  for (const [i, group] of metadata.row_groups.entries()) {
    checkGroup(group, i, columns);
    const rowEnd = rowStart + Number(group.num_rows);
    const options = { file, metadata, columns, compressors, rowStart, rowEnd };
    const name = `row group ${i + 1}`;
    const rows = await reading(name, () => parquetReadObjects(options), rowStart + 1);
    for (let at = 0; at < rows.length; at += ROWS_A_STEP) {
      const first = rowStart + at + 1;
      yield rows.slice(at, at + ROWS_A_STEP).map((row, k) => stagedRow(row, first + k));
    }
    rowStart = rowEnd;
  }
}

function stagedRow(row: Record<string, unknown>, number: number): StagedRow {
  return { number, content: JSON.stringify(row, plainValue), problem: null };
}

function checkGroup(group: FileMetaData['row_groups'][number], index: number, columns: string[]) {
  const bytes = group.columns
    .filter(({ meta_data }) => columns.includes(meta_data?.path_in_schema[0] ?? ''))
    .reduce((sum, { meta_data }) => sum + Number(meta_data?.total_uncompressed_size ?? 0), 0);
  const rows = Number(group.num_rows);
  if (bytes <= MAX_GROUP_BYTES && rows <= MAX_GROUP_ROWS) return;
  throw new FormatError(
    'row_group_too_large',
    `Row group ${index + 1} has ${bytes} bytes and ${rows} rows, the limits are ` +
      `${MAX_GROUP_BYTES} bytes and ${MAX_GROUP_ROWS} rows; write smaller row groups.`,
  );
}

async function reading<T>(what: string, read: () => Promise<T>, row: number | null = null) {
  try {
    return await read();
  } catch (error) {
    if (error instanceof BlobError && error.reason !== 'range') throw error;
    const isUnknown = error instanceof Error && /unsupported/i.test(error.message);
    const problem = isUnknown ? 'has something that is not supported' : 'is broken';
    throw invalid(`The Parquet file ${problem} in ${what}.`, row);
  }
}

/** Of JSON's own kinds; a time has been made a text before it comes here. */
function plainValue(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') {
    return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>);
  return value;
}

function columnOf({ element, children }: SchemaTree): Column {
  return { name: element.name, type: children.length > 0 ? 'json' : typeOf(element) };
}

function typeOf({ type, converted_type, logical_type }: SchemaTree['element']): ColumnType {
  const kind = logical_type?.type ?? converted_type ?? '';
  if (/DATE|TIME|INTERVAL|UUID|FLOAT16/.test(kind)) return kind === 'FLOAT16' ? 'double' : 'string';
  if (/DECIMAL/.test(kind)) return 'double';
  if (kind === 'JSON') return 'json';
  if (type === 'BOOLEAN') return 'boolean';
  if (type === 'INT32' || type === 'INT64') return 'int64';
  return type === 'FLOAT' || type === 'DOUBLE' ? 'double' : 'string';
}
