import { isUtf8 } from 'node:buffer';
import type { BatchDefinition } from '@headrace/shared/bulk/batch.ts';
import type { Documents } from '@headrace/shared/bulk/documents.ts';
import { MAX_LINE_BYTES } from '@headrace/shared/bulk/line-json.ts';
import { type Line, splitLines } from '@headrace/shared/bulk/lines.ts';
import type { StagedRow } from '@headrace/shared/bulk/staged-line.ts';
import { type Column, MAX_COLUMNS } from '@headrace/shared/bulk/table.ts';
import type { ReadableBlob } from '@headrace/shared/inputs/readable-blob.ts';
import { type Compression, compressionOf, expand } from './compression.ts';
import { csvRows } from './csv.ts';
import { FormatError } from './format-error.ts';
import { openParquet } from './parquet-input.ts';

/** An input whose rows have to be written anew before it can be cut. */
export interface RowSource {
  rows: AsyncIterable<StagedRow[]>;
  /** Known once the rows are read; null when they do not declare any. */
  columns(): Column[] | null;
}

interface RowSourceOptions {
  input: ReadableBlob;
  /** Most bytes that a compressed input may expand to. */
  maxBytes: number;
  compression: Compression;
}

/** How the content of an input is packed; lines that are not packed can be cut as they are. */
export async function inputCompression(
  input: ReadableBlob,
  { scoring }: BatchDefinition,
): Promise<Compression> {
  const declared = scoring?.documents.compression ?? 'auto';
  const compression = await compressionOf(input, declared);
  if (compression === 'none' || scoring?.documents.format !== 'parquet') return compression;
  throw new FormatError(
    'invalid_compression',
    `documents.compression: Parquet cannot be read through ${compression}; it is packed inside.`,
  );
}

export function hasLines(definition: BatchDefinition): boolean {
  const format = definition.scoring?.documents.format ?? 'jsonl';
  return format === 'jsonl' || format === 'text';
}

/** @throws FormatError when the input is not what it is said to be */
export async function openRows(
  definition: BatchDefinition,
  { input, maxBytes, compression }: RowSourceOptions,
): Promise<RowSource> {
  const { scoring } = definition;
  if (scoring?.documents.format === 'parquet') {
    const parquet = await openParquet(input);
    const choose = chooser(scoring.documents, scoring.output.join);
    return { rows: parquet.rows({ choose }), columns: () => parquet.columns };
  }
  const content = expand(await input.read(), compression, maxBytes);
  if (scoring === null || hasLines(definition))
    return { rows: lineRows(content), columns: () => null };
  let columns: Column[] = [];
  const choose = chooser(scoring.documents, scoring.output.join);
  const delimiter = scoring.documents.format === 'tsv' ? '\t' : ',';
  const rows = csvRows(content, {
    delimiter,
    choose(header) {
      columns = header.map((name) => ({ name, type: 'string' }));
      return choose(header);
    },
  });
  return { rows, columns: () => columns };
}

async function* lineRows(content: AsyncIterable<Uint8Array>): AsyncGenerator<StagedRow[]> {
  for await (const lines of splitLines(content, { maxLineBytes: MAX_LINE_BYTES })) {
    yield lines.map(lineRow);
  }
}

function lineRow({ number, bytes }: Line): StagedRow {
  if (bytes === null) {
    const problem = `the line has more than ${MAX_LINE_BYTES} bytes`;
    return { number, content: null, problem };
  }
  if (!isUtf8(bytes)) return { number, content: null, problem: 'the line is not valid UTF-8' };
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  return { number, content: text, problem: null };
}

/** The columns that are read: all if they are joined, else those that the caller has named. */
function chooser({ text, text_pair, id }: Documents, join: boolean) {
  const named = { text, text_pair, id };
  return (columns: string[]): string[] => {
    for (const [field, name] of Object.entries(named)) {
      if (name === null || columns.includes(name)) continue;
      const shown = columns.slice(0, 20).join(', ').slice(0, 500);
      const message = `documents.${field}: there is no column ${name.slice(0, 100)}; there are ${shown}`;
      throw new FormatError('missing_column', message);
    }
    checkNames(columns);
    if (join) return columns;
    return columns.filter((name) => Object.values(named).includes(name));
  };
}

function checkNames(columns: string[]): void {
  if (columns.length > MAX_COLUMNS) {
    const message = `The input has ${columns.length} columns, the limit is ${MAX_COLUMNS}.`;
    throw new FormatError('too_many_columns', message);
  }
  const twice = columns.find((name, i) => columns.indexOf(name) !== i);
  if (twice === undefined) return;
  throw new FormatError('duplicate_column', `Two columns have the name ${twice.slice(0, 100)}.`);
}
