import { basename } from 'node:path';
import type { Batch } from '@headrace/client';
import { usage } from '../failure.ts';

type InputFormat = NonNullable<Batch['documents']>['format'];
type OutputFormat = NonNullable<Batch['output']>['format'];
export type Packing = 'gzip' | 'zstd';

/** The standard input or output, in the place of a file. */
export const STANDARD = '-';

export const INPUT_FORMATS = ['csv', 'tsv', 'jsonl', 'parquet', 'text'] as const;
export const OUTPUT_FORMATS = ['csv', 'jsonl', 'parquet'] as const;

const ENDINGS: Record<string, InputFormat> = {
  csv: 'csv',
  tsv: 'tsv',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  parquet: 'parquet',
  txt: 'text',
};
const PACKINGS: Record<string, Packing> = { gz: 'gzip', zst: 'zstd' };

/** What a name says of a file: `reviews.csv.gz` is CSV, packed with gzip. */
function readName(path: string): { format: InputFormat | null; packing: Packing | null } {
  const endings = basename(path).toLowerCase().split('.').slice(1);
  const packing = PACKINGS[endings.at(-1) ?? ''] ?? null;
  if (packing !== null) endings.pop();
  return { format: ENDINGS[endings.at(-1) ?? ''] ?? null, packing };
}

/** @param given the format that the user has named, if so */
export function inputFormat(path: string, given: InputFormat | undefined): InputFormat {
  if (given !== undefined) return given;
  if (path === STANDARD) return 'jsonl';
  const { format } = readName(path);
  if (format !== null) return format;
  throw usage(
    `${path}: its name does not say what it holds`,
    `Give its format: --format ${INPUT_FORMATS.join('|')}`,
  );
}

interface Output {
  path: string;
  /** What the user has named, if so. */
  given: OutputFormat | undefined;
}

/** The format to write; lines of JSON where nothing says otherwise. */
export function outputFormat({ path, given }: Output): OutputFormat {
  if (path === STANDARD) return given ?? 'jsonl';
  const { format, packing } = readName(path);
  const chosen = given ?? writable(path, format);
  if (format !== null && format !== chosen) {
    throw usage(`${path}: is named like ${format}, but ${chosen} is written`);
  }
  if (chosen === 'parquet' && packing !== null) {
    throw usage(`${path}: Parquet is packed already`, 'Leave the second ending away.');
  }
  return chosen;
}

function writable(path: string, format: InputFormat | null): OutputFormat {
  const found = OUTPUT_FORMATS.find((known) => known === format);
  if (found !== undefined) return found;
  const problem =
    format === null ? 'its name does not say what to write' : `${format} is not written`;
  throw usage(
    `${path}: ${problem}`,
    `End it with .csv, .jsonl or .parquet, or give --output-format ${OUTPUT_FORMATS.join('|')}`,
  );
}

/** How the output file is packed; the standard output never is. */
export function outputPacking(path: string): Packing | null {
  return path === STANDARD ? null : readName(path).packing;
}
