/** The ids of one row, special tokens included, at most `max_tokens` long. */
export interface Encoding {
  /** `[tokens]` */
  ids: Int32Array;
  /** `[tokens]`, or null when every token has type 0. */
  typeIds: Int32Array | null;
}

/** What the tokenizer made of one row: one encoding, or several where a long row was chunked. */
export interface TokenizedRow {
  encodings: Encoding[];
  /** After the character cap and before truncation, special tokens included. */
  tokens: number;
  truncated: boolean;
}
