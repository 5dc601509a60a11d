import type { Line } from './lines.ts';

/*
 * An input that cannot be cut at any line (compressed, CSV, Parquet, some rows of another batch) is
 * written anew, "staged": `<number>\t=<the line>`, or `<number>\t!<problem>` for what is no row.
 */
const TAB = 0x09;
const PROBLEM = 0x21;

/** A row of the input as the planner read it. */
export interface StagedRow {
  /** Its line, or its place in a format without lines; from 1. */
  number: number;
  /** The row as a line of its format, without a newline; null when `problem` says why not. */
  content: string | null;
  problem: string | null;
}

export function encodeStaged({ number, content, problem }: StagedRow): string {
  return content === null ? `${number}\t!${problem}\n` : `${number}\t=${content}\n`;
}

/** The line that was staged, in the place where it is now. */
export function decodeStaged(line: Line): Line {
  const { bytes } = line;
  if (bytes === null) return line;
  const tab = bytes.indexOf(TAB);
  const staged = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = Number(staged.toString('latin1', 0, tab));
  const content = bytes.subarray(tab + 2);
  if (bytes[tab + 1] !== PROBLEM) return { ...line, number, bytes: content };
  return { ...line, number, bytes: content, problem: staged.toString('utf8', tab + 2) };
}
