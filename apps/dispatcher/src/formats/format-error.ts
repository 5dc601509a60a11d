/** An input that cannot be read at all, or not beyond some place; the batch fails with it. */
export class FormatError extends Error {
  readonly code: string;
  /** From 1; null when it is about the file as a whole. */
  readonly line: number | null;

  constructor(code: string, message: string, line: number | null = null) {
    super(message);
    this.name = 'FormatError';
    this.code = code;
    this.line = line;
  }
}
