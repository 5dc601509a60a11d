import { AppError } from '../errors.ts';
import { checkStructure } from '../json-structure.ts';
import type { Line } from './lines.ts';

/** Longer lines are refused without being looked at. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;
/** What bulk rows are held to, whatever an API in front of them allows. */
export const ROW_LIMITS = { maxRows: 2_048, maxRowCharacters: 100_000 };
const MAX_FIELDS = 2 * ROW_LIMITS.maxRows + 1_024;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws AppError `invalid_request`, which never holds the line's text */
export function lineText({ bytes, problem }: Line): string {
  if (problem !== null) throw refuse(null, problem);
  if (bytes === null) throw refuse(null, `the line has more than ${MAX_LINE_BYTES} bytes`);
  try {
    return UTF8.decode(bytes);
  } catch {
    throw refuse(null, 'the line is not valid UTF-8');
  }
}

/** @throws AppError `invalid_request`, which never holds the line's text */
export function lineJson(line: Line): unknown {
  const text = lineText(line);
  checkStructure(text, MAX_FIELDS);
  try {
    return JSON.parse(text);
  } catch {
    throw refuse(null, 'the line is not valid JSON');
  }
}

export function refuse(param: string | null, problem: string): AppError {
  const message = param === null ? problem : `${param}: ${problem}`;
  return new AppError('invalid_request', { message, param });
}
