/**
 * The entry of a tokenizer thread: turns texts into ids, many rows a message. It never loads ONNX
 * Runtime, whose threads must not be ended, and it never writes a text anywhere.
 */
import { readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { AppError } from '@headrace/shared/errors.ts';
import type { TokenizedRow } from '../encoding.ts';
import { packTokenizedRows } from './packed-rows.ts';
import type {
  FromThread,
  RowFailure,
  ThreadRow,
  TokenizerSpec,
  ToThread,
} from './thread-protocol.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';

const models = new Map<string, { tokenizer: Tokenizer; maxTokens: number }>();

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
    const tokenizer = createTokenizer(readFileSync(spec.path, 'utf8'), spec);
    models.set(model, { tokenizer, maxTokens: spec.maxTokens });
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
        return encode(row);
      } catch (error) {
        failures.push(readFailure(index, error));
        return null;
      }
    }),
  );
  send({ type: 'rows', packed, failures }, [packed.buffer]);
}

function encode(row: ThreadRow): TokenizedRow {
  const model = models.get(row.model);
  if (model === undefined) throw new AppError('model_not_found');
  return model.tokenizer.encode(row, model.maxTokens, row.overflow);
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
