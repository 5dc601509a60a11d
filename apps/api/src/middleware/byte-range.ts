import { AppError } from '@headrace/shared/errors.ts';

/** First byte, and one past the last. */
export interface Slice {
  start: number;
  end: number;
}

const SINGLE = /^bytes=(\d*)-(\d*)$/;

/**
 * The part of a content that a `Range` header asks for, RFC 9110 §14. A header of another unit or
 * form, and one that names several ranges, is ignored, as the RFC allows.
 * @returns null when all of the content is asked for
 * @throws AppError `range_not_satisfiable` when nothing of the content lies in the range
 */
export function parseRange(header: string | undefined, sizeBytes: number): Slice | null {
  const [, first = '', last = ''] = SINGLE.exec(header?.replaceAll(' ', '') ?? '') ?? [];
  if (first === '' && last === '') return null;
  if (first === '') return suffix(Number(last), sizeBytes);
  const start = Number(first);
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (last !== '' && Number(last) < start) return null;
  if (start >= sizeBytes) throw outside(sizeBytes);
  return { start, end };
}

function suffix(bytes: number, sizeBytes: number): Slice {
  if (bytes === 0 || sizeBytes === 0) throw outside(sizeBytes);
  return { start: Math.max(0, sizeBytes - bytes), end: sizeBytes };
}

function outside(sizeBytes: number): AppError {
  const message = `The range lies outside of the file, which has ${sizeBytes} bytes.`;
  return new AppError('range_not_satisfiable', { message, param: 'range' });
}
