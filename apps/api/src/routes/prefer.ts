import { AppError } from '@headrace/shared/errors.ts';

const WAIT = /^wait(?:\s*=\s*"?([^"]*?)"?)?$/i;

/**
 * Seconds of `wait=N` in a Prefer header (RFC 7240), or null. Other preferences are ignored, as the
 * RFC asks.
 * @throws AppError `invalid_request` unless N is a whole number from 1 to `maxWaitS`
 */
export function preferredWaitS(header: string | undefined, maxWaitS: number): number | null {
  if (header === undefined) return null;
  const preference = header
    .split(/[,;]/)
    .map((part) => WAIT.exec(part.trim()))
    .find((match) => match !== null);
  if (!preference) return null;
  const text = preference[1] ?? '';
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (seconds >= 1 && seconds <= maxWaitS) return seconds;
  throw new AppError('invalid_request', {
    message: `Prefer: wait must be a whole number from 1 to ${maxWaitS}`,
    param: 'Prefer',
  });
}
