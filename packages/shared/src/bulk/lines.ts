/** A line of an input file that is not blank. */
export interface Line {
  /** From 1; blank lines count. */
  number: number;
  startByte: number;
  /** One past its newline. */
  endByte: number;
  /** Without its newline; null when it is too long to be looked at. */
  bytes: Uint8Array | null;
  /** Why it could not be read from the input, if it was written anew. */
  problem: string | null;
}

interface LineOptions {
  /** A longer line is skipped up to its end, and never held whole. */
  maxLineBytes: number;
  /** Where `source` begins within the file. */
  startByte?: number;
  /** Number of the first line of `source`. */
  firstLine?: number;
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * Cuts bytes into lines, a list for each piece of the source. `\n` and `\r\n` end a line, the end of
 * the source too; blank lines and the byte order mark of a file are dropped. A range of a file that
 * begins and ends with lines gives the same lines as the whole file does there. What a line's bytes
 * point to may change when the next list is asked for.
 */
export async function* splitLines(
  source: AsyncIterable<Uint8Array>,
  { maxLineBytes, startByte = 0, firstLine = 1 }: LineOptions,
): AsyncGenerator<Line[]> {
  const state = new LineSplitter({ maxLineBytes, startByte, number: firstLine });
  for await (const piece of source) {
    const lines = state.push(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
    if (lines.length > 0) yield lines;
  }
  const last = state.end();
  if (last.length > 0) yield last;
}

class LineSplitter {
  readonly #maxLineBytes: number;
  #number: number;
  /** Where the line that is open begins. */
  #startByte: number;
  /** What has come of the open line; nothing more is kept once it is too long. */
  #open: Buffer[] = [];
  #openBytes = 0;

  constructor(options: { maxLineBytes: number; startByte: number; number: number }) {
    this.#maxLineBytes = options.maxLineBytes;
    this.#startByte = options.startByte;
    this.#number = options.number;
  }

  push(piece: Buffer): Line[] {
    const lines: Line[] = [];
    let from = 0;
    for (let at = piece.indexOf(NEWLINE); at !== -1; at = piece.indexOf(NEWLINE, from)) {
      this.#close(piece.subarray(from, at), 1, lines);
      from = at + 1;
    }
    if (from < piece.length) this.#keep(Buffer.from(piece.subarray(from)));
    return lines;
  }

  end(): Line[] {
    const lines: Line[] = [];
    if (this.#openBytes > 0) this.#close(Buffer.alloc(0), 0, lines);
    return lines;
  }

  #keep(part: Buffer): void {
    this.#openBytes += part.length;
    if (this.#openBytes > this.#maxLineBytes) this.#open = [];
    else this.#open.push(part);
  }

  /** @param newlineBytes 0 at the end of the source */
  #close(rest: Buffer, newlineBytes: number, lines: Line[]): void {
    const length = this.#openBytes + rest.length;
    const startByte = this.#startByte;
    const endByte = startByte + length + newlineBytes;
    const isTooLong = length > this.#maxLineBytes;
    const bytes = isTooLong ? null : this.#text(rest);
    if (bytes === null || !isBlank(bytes)) {
      lines.push({ number: this.#number, startByte, endByte, bytes, problem: null });
    }
    this.#number += 1;
    this.#startByte = endByte;
    this.#open = [];
    this.#openBytes = 0;
  }

  #text(rest: Buffer): Buffer {
    const whole = this.#open.length === 0 ? rest : Buffer.concat([...this.#open, rest]);
    const end = whole.at(-1) === RETURN ? whole.length - 1 : whole.length;
    const isFirst = this.#startByte === 0;
    const hasMark = isFirst && whole.subarray(0, 3).equals(BYTE_ORDER_MARK);
    return whole.subarray(hasMark ? BYTE_ORDER_MARK.length : 0, end);
  }
}

/** Only spaces and tabs. */
function isBlank(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0x20 && byte !== 0x09 && byte !== RETURN) return false;
  return true;
}
