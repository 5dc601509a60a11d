import type { AppError } from '@headrace/shared/errors.ts';
import type { TokenizedRow } from '../encoding.ts';
import { isRowFault } from './row-fault.ts';
import type { PendingRow } from './thread-handle.ts';
import type { ThreadRow } from './thread-protocol.ts';

/** Rows that have one caller, who waits for all of them. */
export class RowGroup {
  readonly #results: (TokenizedRow | AppError)[] = [];
  readonly #settled = Promise.withResolvers<(TokenizedRow | AppError)[]>();
  #open: number;

  constructor(size: number) {
    this.#open = size;
    if (size === 0) this.#settled.resolve([]);
  }

  /** What became of each row, in order; rejects with what is no fault of a row. */
  get result(): Promise<(TokenizedRow | AppError)[]> {
    return this.#settled.promise;
  }

  settle(index: number, result: TokenizedRow | AppError): void {
    this.#results[index] = result;
    this.#open -= 1;
    if (this.#open === 0) this.#settled.resolve(this.#results);
  }

  reject(error: AppError): void {
    this.#settled.reject(error);
  }
}

interface GroupRowOptions {
  row: ThreadRow;
  characters: number;
  index: number;
}

/** One row of a group; it has no promise and no closure of its own, since there are so many. */
export class GroupRow implements PendingRow {
  readonly row: ThreadRow;
  readonly characters: number;
  suspect = false;
  readonly #group: RowGroup;
  readonly #index: number;

  constructor(group: RowGroup, { row, characters, index }: GroupRowOptions) {
    this.row = row;
    this.characters = characters;
    this.#group = group;
    this.#index = index;
  }

  resolve(row: TokenizedRow): void {
    this.#group.settle(this.#index, row);
  }

  reject(error: AppError): void {
    if (isRowFault(error)) this.#group.settle(this.#index, error);
    else this.#group.reject(error);
  }
}
