import type { Encoding, TokenizedRow } from '../encoding.ts';

/*
 * A row is `tokens, truncated, encodings` and then, for each encoding, `length, typed`, its ids and,
 * if typed, its types. A row that has none of this, because it failed, is `-1, 0, 0`.
 */
const ROW_HEADER = 3;
const ENCODING_HEADER = 2;
const FAILED = -1;

/** Rows as one buffer that can be handed to another thread without being copied. */
export function packTokenizedRows(rows: readonly (TokenizedRow | null)[]): Int32Array<ArrayBuffer> {
  const packed = new Int32Array(rows.reduce((sum, row) => sum + packedLength(row), 0));
  let at = 0;
  for (const row of rows) {
    packed[at++] = row === null ? FAILED : row.tokens;
    packed[at++] = row?.truncated ? 1 : 0;
    packed[at++] = row?.encodings.length ?? 0;
    for (const encoding of row?.encodings ?? []) at = packEncoding(packed, at, encoding);
  }
  return packed;
}

function packedLength(row: TokenizedRow | null): number {
  let length = ROW_HEADER;
  for (const { ids, typeIds } of row?.encodings ?? []) {
    length += ENCODING_HEADER + ids.length + (typeIds?.length ?? 0);
  }
  return length;
}

function packEncoding(packed: Int32Array, from: number, { ids, typeIds }: Encoding): number {
  let at = from;
  packed[at++] = ids.length;
  packed[at++] = typeIds === null ? 0 : 1;
  packed.set(ids, at);
  at += ids.length;
  if (typeIds === null) return at;
  packed.set(typeIds, at);
  return at + typeIds.length;
}

/** What `packTokenizedRows` was given; the arrays are views of `packed`. */
export function unpackTokenizedRows(packed: Int32Array): (TokenizedRow | null)[] {
  const rows: (TokenizedRow | null)[] = [];
  let at = 0;
  const next = () => packed[at++] ?? 0;
  const nextIds = (length: number) => {
    at += length;
    return packed.subarray(at - length, at);
  };
  while (at < packed.length) {
    const tokens = next();
    const truncated = next() === 1;
    const count = next();
    const encodings: Encoding[] = [];
    for (let i = 0; i < count; i++) {
      const length = next();
      const typed = next() === 1;
      encodings.push({ ids: nextIds(length), typeIds: typed ? nextIds(length) : null });
    }
    rows.push(tokens === FAILED ? null : { encodings, tokens, truncated });
  }
  return rows;
}
