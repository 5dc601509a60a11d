import { isUtf8 } from 'node:buffer';
import { pipeline, Readable } from 'node:stream';
import { MAX_LINE_BYTES } from '@headrace/shared/bulk/line-json.ts';
import type { StagedRow } from '@headrace/shared/bulk/staged-line.ts';
import { CsvError, type Info, type Options, parse } from 'csv-parse';
import { FormatError } from './format-error.ts';

interface CsvOptions {
  delimiter: ',' | '\t';
  /** Checks the header. @returns the columns that are wanted; throws FormatError */
  choose: (header: string[]) => string[];
}

const ROWS_A_STEP = 256;

/**
 * The records of CSV as JSON objects of the chosen columns. The first record names the columns; a
 * record is numbered by the line that it begins on.
 */
export async function* csvRows(
  content: AsyncIterable<Uint8Array>,
  { delimiter, choose }: CsvOptions,
): AsyncGenerator<StagedRow[]> {
  const text = new TextCheck();
  // An error throws away the records that nobody has read yet, so they are counted before.
  const lines = new LineCount();
  const places: Place[] = [];
  const on_record = (record: string[], info: Info) => {
    places.push(lines.add(record, info));
    return record;
  };
  const options = { ...OPTIONS, delimiter, on_record };
  // What goes wrong on either side comes out of the reading below.
  const parser = pipeline(Readable.from(text.watch(content)), parse(options), () => undefined);
  let reader: RecordReader | null = null;
  let rows: StagedRow[] = [];
  try {
    for await (const record of parser as AsyncIterable<string[]>) {
      const { first, last } = places.shift() ?? NOWHERE;
      if (reader === null) {
        reader = new RecordReader(record, choose(record));
        continue;
      }
      rows.push(text.isSound(first, last) ? reader.read(record, first) : notText(first));
      if (rows.length < ROWS_A_STEP) continue;
      yield rows;
      rows = [];
    }
  } catch (error) {
    throw error instanceof CsvError ? brokenCsv(error, lines.last + 1) : error;
  }
  if (reader === null) throw new FormatError('empty_file', 'The file has no header.');
  yield rows;
}

/** The lines that a record begins and ends on. */
interface Place {
  first: number;
  last: number;
}

const NOWHERE: Place = { first: 0, last: 0 };

const OPTIONS: Options = {
  bom: true,
  // A lone \r ends no line: everything else that reads lines here agrees.
  record_delimiter: ['\r\n', '\n'],
  // What is wrong with a record is for us to say, and stops nothing.
  relax_column_count: true,
  relax_quotes: true,
  skip_empty_lines: true,
  max_record_size: MAX_LINE_BYTES,
};

/** Counts lines as an editor does; the parser takes every \r within a field for the end of one. */
class LineCount {
  #returns = 0;
  #last = 0;

  /** The line that the last record ended on. */
  get last(): number {
    return this.#last;
  }

  add(record: string[], { lines }: Info): Place {
    this.#returns += countIn(record, '\r');
    const last = lines - this.#returns;
    this.#last = last;
    return { first: last - countIn(record, '\n'), last };
  }
}

function countIn(record: string[], character: '\r' | '\n'): number {
  let count = 0;
  for (const field of record) {
    for (let at = field.indexOf(character); at !== -1; at = field.indexOf(character, at + 1)) {
      count += 1;
    }
  }
  return count;
}

class RecordReader {
  readonly #header: string[];
  readonly #wanted: [number, string][];

  constructor(header: string[], wanted: string[]) {
    this.#header = header;
    this.#wanted = wanted.map((name) => [header.indexOf(name), name]);
  }

  read(record: string[], number: number): StagedRow {
    if (record.length !== this.#header.length) {
      const problem = `the row has ${record.length} fields, the header has ${this.#header.length}`;
      return { number, content: null, problem };
    }
    const row = Object.fromEntries(this.#wanted.map(([at, name]) => [name, record[at]]));
    return { number, content: JSON.stringify(row), problem: null };
  }
}

function notText(number: number): StagedRow {
  return { number, content: null, problem: 'the row is not valid UTF-8' };
}

function brokenCsv(error: CsvError, line: number): FormatError {
  const mebibytes = MAX_LINE_BYTES / 1024 ** 2;
  const problems: Partial<Record<CsvError['code'], string>> = {
    CSV_QUOTE_NOT_CLOSED: 'a quote is opened and never closed',
    CSV_MAX_RECORD_SIZE: `the row has more than ${mebibytes} MiB; is a quote not closed?`,
  };
  const problem = problems[error.code] ?? 'it is not CSV';
  return new FormatError('invalid_csv', `Row that begins in line ${line}: ${problem}.`, line);
}

const NEWLINE = 0x0a;

/** Finds the lines that are not UTF-8, which the parser would take with other characters in them. */
class TextCheck {
  #line = 1;
  #open: Buffer[] = [];
  #broken: number[] = [];

  async *watch(content: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
    for await (const bytes of content) {
      const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const end = piece.lastIndexOf(NEWLINE) + 1;
      if (end === 0) this.#open.push(Buffer.from(piece));
      else {
        this.#check(Buffer.concat([...this.#open, piece.subarray(0, end)]));
        this.#open = [Buffer.from(piece.subarray(end))];
      }
      yield piece;
    }
    this.#check(Buffer.concat(this.#open));
  }

  /** Whether the lines from `first` to `last` are; ask in the order of the lines. */
  isSound(first: number, last: number): boolean {
    while ((this.#broken[0] ?? first) < first) this.#broken.shift();
    return (this.#broken[0] ?? last + 1) > last;
  }

  #check(lines: Buffer): void {
    const sound = isUtf8(lines);
    let from = 0;
    for (let at = lines.indexOf(NEWLINE); at !== -1; at = lines.indexOf(NEWLINE, from)) {
      if (!sound && !isUtf8(lines.subarray(from, at))) this.#broken.push(this.#line);
      this.#line += 1;
      from = at + 1;
    }
    if (!sound && !isUtf8(lines.subarray(from))) this.#broken.push(this.#line);
  }
}
