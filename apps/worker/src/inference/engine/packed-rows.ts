import type { Encoding } from '../encoding.ts';
import type { PackedRows } from './protocol.ts';

/** Encodings `[from, to)` as one block without padding, small enough to cost little in the pipe. */
export function packRows(encodings: readonly Encoding[], from: number, to: number): PackedRows {
  const lengths = new Int32Array(to - from);
  let tokens = 0;
  let typed = false;
  for (let i = from; i < to; i++) {
    const encoding = encodings[i];
    if (encoding === undefined) throw new RangeError(`no encoding ${i} of ${encodings.length}`);
    lengths[i - from] = encoding.ids.length;
    tokens += encoding.ids.length;
    typed ||= encoding.typeIds !== null;
  }
  const ids = new Int32Array(tokens);
  const typeIds = typed ? new Int32Array(tokens) : null;
  let at = 0;
  for (let i = from; i < to; i++) {
    const encoding = encodings[i];
    if (encoding === undefined) continue;
    ids.set(encoding.ids, at);
    if (encoding.typeIds !== null) typeIds?.set(encoding.typeIds, at);
    at += encoding.ids.length;
  }
  return { ids, lengths, typeIds };
}
