import type { Column, ColumnType } from '@headrace/shared/bulk/table.ts';
import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer';

type Cell = string | number | bigint | boolean | Record<string, unknown> | unknown[] | null;

/** Rows of a row group; fewer if they are wide. */
const GROUP_ROWS = 10_000;
/** About what the cells of a row group may take. */
const GROUP_CELLS = 4_000_000;

/** Writes a Parquet file row by row, a row group at a time in memory. */
export class ParquetRows {
  readonly #columns: Column[];
  readonly #bytes = new ByteWriter();
  readonly #writer: ParquetWriter;
  #cells: Cell[][];
  #rows = 0;
  #weight = 0;

  constructor(columns: Column[]) {
    this.#columns = columns;
    const schema = [{ name: 'root', num_children: columns.length }, ...columns.flatMap(elements)];
    this.#writer = new ParquetWriter({ writer: this.#bytes, schema, createdBy: 'headrace' });
    this.#cells = columns.map(() => []);
  }

  /** @returns bytes of the file, when a row group is full */
  add(row: Record<string, unknown>): Uint8Array | null {
    for (const [i, { name, type }] of this.#columns.entries()) {
      const cell = cellOf(row[name], type);
      this.#cells[i]?.push(cell);
      this.#weight += weightOf(cell);
    }
    this.#rows += 1;
    return this.#rows < GROUP_ROWS && this.#weight < GROUP_CELLS ? null : this.#writeGroup();
  }

  /** The rest of the file. */
  end(): Uint8Array {
    const rows = this.#rows > 0 ? this.#writeGroup() : Buffer.alloc(0);
    this.#writer.finish();
    return Buffer.concat([rows, this.#taken()]);
  }

  #writeGroup(): Uint8Array {
    const columnData = this.#columns.map(({ name }, i) => ({ name, data: this.#cells[i] ?? [] }));
    this.#writer.write({ columnData, rowGroupSize: this.#rows });
    this.#cells = this.#columns.map(() => []);
    this.#rows = 0;
    this.#weight = 0;
    return this.#taken();
  }

  #taken(): Uint8Array {
    const bytes = Buffer.from(this.#bytes.getBytes());
    this.#bytes.index = 0;
    return bytes;
  }
}

/** Texts by their length, lists by their numbers. */
function weightOf(cell: Cell): number {
  return typeof cell === 'string' || Array.isArray(cell) ? cell.length : 1;
}

function cellOf(value: unknown, type: ColumnType): Cell {
  if (value === null || value === undefined) return null;
  switch (type) {
    case 'string':
      return typeof value === 'string' ? value : JSON.stringify(value);
    case 'int64':
      return BigInt(value as number | string);
    case 'double':
      return Number(value);
    case 'boolean':
      return value === true;
    case 'floats':
      return value as number[];
    case 'json':
      return value as Cell;
  }
}

const TYPES: Record<Exclude<ColumnType, 'floats'>, Partial<SchemaElement>> = {
  string: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  int64: { type: 'INT64' },
  double: { type: 'DOUBLE' },
  boolean: { type: 'BOOLEAN' },
  json: { type: 'BYTE_ARRAY', converted_type: 'JSON' },
};

/** Every column may be null: a row that failed has no answer. */
function elements({ name, type }: Column): SchemaElement[] {
  if (type !== 'floats') return [{ name, repetition_type: 'OPTIONAL', ...TYPES[type] }];
  return [
    { name, repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', repetition_type: 'OPTIONAL', type: 'FLOAT' },
  ];
}
