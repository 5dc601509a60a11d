import type { InputFormat } from '@headrace/client';
import { shownName } from '../../elements/text.ts';
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
  return previewOf(file, await kindOf(file));
}

/** As another format than the one that was recognised. */
export async function previewAs(file: File, format: InputFormat): Promise<Preview> {
  return previewOf(file, { ...(await kindOf(file)), format });
}

async function previewOf(file: File, kind: FileKind): Promise<Preview> {
  const { head, whole, ...rest } = kind;
  const table = await tableOf(file, kind);
  return { ...rest, ...table, warning: rest.warning ?? table.warning };
}

type TableOf = Pick<Preview, 'columns' | 'rows' | 'endpoint' | 'warning'>;
const UNKNOWN: TableOf = { columns: null, rows: [], endpoint: null, warning: null };

async function tableOf(file: File, { format, head, whole }: FileKind): Promise<TableOf> {
  if (head === null) return UNKNOWN;
  if (format === 'parquet') return parquetTable(file);
  const text = new TextDecoder().decode(head).replace(/^\uFEFF/, '');
  if (format === 'csv' || format === 'tsv') {
    const delimiter = format === 'csv' ? ',' : '\t';
    const [columns = [], ...rows] = csvRecords(text, { delimiter, most: ROWS + 1, whole });
    return { ...UNKNOWN, columns, rows: rows.map((row) => row.map(shortened)) };
  }
  const lines = text.split(/\r?\n/);
  if (!whole) lines.pop();
  const filled = lines.filter((line) => line.trim() !== '').slice(0, ROWS);
  if (format === 'jsonl') return jsonTable(filled);
  return { ...UNKNOWN, columns: ['text'], rows: filled.map((line) => [shortened(line)]) };
}

async function parquetTable(file: File): Promise<TableOf> {
  try {
    const { parquetHead } = await import('./parquet-head.ts');
    const { columns, rows } = await parquetHead(file, ROWS);
    const shown = rows.map((row) => row.map((cell) => shortened(cellText(cell))));
    return { ...UNKNOWN, columns, rows: shown };
  } catch {
    return { ...UNKNOWN, warning: `${shownName(file.name)} cannot be read as Parquet here.` };
  }
}

function jsonTable(lines: string[]): TableOf {
  const objects = lines.flatMap(jsonObject);
  const columns = [...new Set(objects.flatMap((object) => Object.keys(object)))];
  const [first] = objects;
  const endpoint =
    first !== undefined && 'custom_id' in first && 'body' in first ? first.url : null;
  const broken = lines.length - objects.length;
  return {
    columns,
    warning:
      broken === 0
        ? null
        : `Of the first ${lines.length} lines, ${broken} are no JSON objects. ` +
          'Such rows fail; others are scored.',
    rows: objects.map((object) => columns.map((name) => shortened(cellText(object[name])))),
    endpoint: endpoint === '/v1/jobs' || endpoint === '/v1/embeddings' ? endpoint : null,
  };
}

function jsonObject(line: string): Record<string, unknown>[] {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
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
