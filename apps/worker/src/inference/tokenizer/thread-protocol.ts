import type { ErrorCode } from '@headrace/shared/errors.ts';
import type { RowInput } from '@headrace/shared/queues.ts';
import type { Overflow } from '@headrace/shared/tasks/task.ts';
import type { TokenizerOptions } from './tokenizer.ts';

/** The tokenizer of one model. */
export interface TokenizerSpec extends TokenizerOptions {
  /** Of the `tokenizer.json`, absolute. */
  path: string;
  /** The longest encoding that the model takes, special tokens included. */
  maxTokens: number;
}

export interface ThreadRow {
  /** `name@version` */
  model: string;
  input: RowInput;
  overflow: Overflow;
}

export type ToThread =
  | { type: 'load'; model: string; spec: TokenizerSpec }
  | { type: 'rows'; rows: ThreadRow[] };

/** Why one row of a message has no ids. */
export interface RowFailure {
  /** Its place in the message. */
  index: number;
  code: ErrorCode;
  message: string;
  /** Name and message of what the library threw. */
  cause: string | null;
}

/** Messages are answered in the order in which they were sent. */
export type FromThread =
  | { type: 'started' }
  | { type: 'loaded'; model: string }
  | { type: 'load_failed'; model: string; message: string }
  | { type: 'rows'; packed: Int32Array; failures: RowFailure[] };
