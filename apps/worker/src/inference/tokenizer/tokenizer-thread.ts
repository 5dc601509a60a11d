/**
 * The entry of a tokenizer thread: turns texts into ids, many rows a message. It never loads ONNX
 * Runtime, whose threads must not be ended, and it never writes a text anywhere.
 */
import { parentPort } from 'node:worker_threads';
import { AppError } from '@headrace/shared/errors.ts';
import { LoadedTokenizers } from './loaded-tokenizers.ts';
import { packTokenizedRows } from './packed-rows.ts';
import type {
  FromThread,
  RowFailure,
  ThreadRow,
  TokenizerSpec,
  ToThread,
} from './thread-protocol.ts';

const tokenizers = new LoadedTokenizers();

// Only the pool writes to this port.
parentPort?.on('message', (message: ToThread) => {
  if (message.type === 'load') send(load(message.model, message.spec));
  else answer(message.rows);
});
send({ type: 'started' });

function send(message: FromThread, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

function load(model: string, spec: TokenizerSpec): FromThread {
  try {
    tokenizers.load(model, spec);
    return { type: 'loaded', model };
  } catch (error) {
    return { type: 'load_failed', model, message: describe(error) };
  }
}

function answer(rows: ThreadRow[]): void {
  const failures: RowFailure[] = [];
  const packed = packTokenizedRows(
    rows.map((row, index) => {
      try {
        return tokenizers.encode(row);
      } catch (error) {
        failures.push(readFailure(index, error));
        return null;
      }
    }),
  );
  send({ type: 'rows', packed, failures }, [packed.buffer]);
}

function readFailure(index: number, error: unknown): RowFailure {
  const known =
    error instanceof AppError ? error : new AppError('tokenizer_failed', { cause: error });
  const cause = known.cause === undefined ? null : describe(known.cause);
  return { index, code: known.code, message: known.message, cause };
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : typeof error;
}
