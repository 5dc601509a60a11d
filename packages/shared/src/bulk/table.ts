import { z } from 'zod';

/** How the values of a column are written where types exist; `json` is text that holds JSON. */
export const COLUMN_TYPES = ['string', 'int64', 'double', 'boolean', 'json', 'floats'] as const;
export type ColumnType = (typeof COLUMN_TYPES)[number];

export const ColumnSchema = z.object({ name: z.string(), type: z.enum(COLUMN_TYPES) });
export type Column = z.infer<typeof ColumnSchema>;

/** Columns that a joined input may have; all of them are held in the record of the batch. */
export const MAX_COLUMNS = 1_000;

/** Finds out the columns of rows that do not declare them, in the order of their appearance. */
export class ColumnFinder {
  readonly #types = new Map<string, ColumnType>();

  /** False once there are more than a batch may have. */
  get bounded(): boolean {
    return this.#types.size <= MAX_COLUMNS;
  }

  get columns(): Column[] {
    return [...this.#types].map(([name, type]) => ({ name, type }));
  }

  add(row: Record<string, unknown>): void {
    if (!this.bounded) return;
    for (const [name, value] of Object.entries(row)) {
      const known = this.#types.get(name);
      if (value === null && known !== undefined) continue;
      this.#types.set(name, known === undefined ? typeOf(value) : common(known, typeOf(value)));
    }
  }
}

function typeOf(value: unknown): ColumnType {
  if (typeof value === 'string' || value === null) return 'string';
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'int64' : 'double';
  return 'json';
}

function common(a: ColumnType, b: ColumnType): ColumnType {
  if (a === b) return a;
  const numbers = [a, b].every((type) => type === 'int64' || type === 'double');
  return numbers ? 'double' : 'json';
}

/**
 * The names under which the columns of an answer stand beside those of the input: their own, or
 * with `headrace_` before it where the input has a column of that name.
 */
export function answerNames(answer: readonly Column[], input: readonly Column[]): string[] {
  const taken = new Set(input.map(({ name }) => name));
  return answer.map(({ name }) => (taken.has(name) ? `headrace_${name}` : name));
}
