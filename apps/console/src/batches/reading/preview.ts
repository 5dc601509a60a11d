import type { InputFormat } from '@headrace/client';
import { csvRecords } from './csv-records.ts';
import { type FileKind, kindOf } from './file-kind.ts';

/** The beginning of a file, as a table. */
export interface Preview extends Omit<FileKind, 'head' | 'whole'> {
  /** Null where they cannot be known here. */
  columns: string[] | null;
  rows: string[][];
  /** The lines are requests of the Batch API: each says for itself what is done with it. */
  endpoint: '/v1/jobs' | '/v1/embeddings' | null;
}

const ROWS = 5;
const CELL_CHARACTERS = 400;

export async function readPreview(file: File): Promise<Preview> {
  const { head, whole, ...kind } = await kindOf(file);
  return { ...kind, ...(await tableOf(file, { ...kind, head, whole })) };
}

/** As another format than the one that was recognised. */
export async function previewAs(file: File, format: InputFormat): Promise<Preview> {
  const { head, whole, ...kind } = await kindOf(file);
  return { ...kind, format, ...(await tableOf(file, { ...kind, format, head, whole })) };
}

type TableOf = Pick<Preview, 'columns' | 'rows' | 'endpoint'>;
const UNKNOWN: TableOf = { columns: null, rows: [], endpoint: null };

async function tableOf(file: File, { format, head, whole }: FileKind): Promise<TableOf> {
  if (head === null) return UNKNOWN;
  if (format === 'parquet') return parquetTable(file);
  const text = new TextDecoder().decode(head).replace(/^\uFEFF/, '');
  if (format === 'csv' || format === 'tsv') {
    const delimiter = format === 'csv' ? ',' : '\t';
    const [columns = [], ...rows] = csvRecords(text, { delimiter, most: ROWS + 1, whole });
    return { columns, rows: rows.map((row) => row.map(shortened)), endpoint: null };
  }
  const lines = text.split(/\r?\n/);
  if (!whole) lines.pop();
  const filled = lines.filter((line) => line.trim() !== '').slice(0, ROWS);
  if (format === 'text')
    return { columns: ['text'], rows: filled.map((line) => [shortened(line)]), endpoint: null };
  return jsonTable(filled);
}

async function parquetTable(file: File): Promise<TableOf> {
  try {
    const { parquetHead } = await import('./parquet-head.ts');
    const { columns, rows } = await parquetHead(file, ROWS);
    return {
      columns,
      rows: rows.map((row) => row.map((cell) => shortened(cellText(cell)))),
      endpoint: null,
    };
  } catch {
    return UNKNOWN;
  }
}

function jsonTable(lines: string[]): TableOf {
  const objects = lines.flatMap(jsonObject);
  const columns = [...new Set(objects.flatMap((object) => Object.keys(object)))];
  const [first] = objects;
  const endpoint =
    first !== undefined && 'custom_id' in first && 'body' in first ? first.url : null;
  return {
    columns,
    rows: objects.map((object) => columns.map((name) => shortened(cellText(object[name])))),
    endpoint: endpoint === '/v1/jobs' || endpoint === '/v1/embeddings' ? endpoint : null,
  };
}

function jsonObject(line: string): Record<string, unknown>[] {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null
      ? [Object.fromEntries(Object.entries(value))]
      : [];
  } catch {
    return [];
  }
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  return JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part)) ?? '';
}

function shortened(text: string): string {
  return text.length > CELL_CHARACTERS ? `${text.slice(0, CELL_CHARACTERS).toWellFormed()}…` : text;
}
