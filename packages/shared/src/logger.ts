import { createHmac, randomBytes } from 'node:crypto';
import { pino } from 'pino';

export type Logger = pino.Logger;

/** One JSON line an event on standard output; secrets are redacted wherever they may stand. */
export function createLogger(options: { service: string; level: string }): Logger {
  return pino({
    level: options.level,
    base: { service: options.service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: ['password', 'secret', 'token', 'authorization', '*.password', '*.secret', '*.url'],
      censor: '[redacted]',
    },
    serializers: { err: serializeError },
  });
}

/** Name, code and stack only: an error's message may quote a text, so it is cut short. */
function serializeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { name: typeof error };
  const code = 'code' in error ? error.code : undefined;
  const frames = (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at '));
  return {
    name: error.name,
    code,
    message: error.message.slice(0, 300),
    stack: frames.slice(0, 8).join('\n'),
    ...(error.cause === undefined ? {} : { cause: serializeError(error.cause) }),
  };
}

/** Stands for a user's text in logs: equal texts have equal digests, nothing can be read back. */
export function createTextDigest(key: string | undefined): (text: string) => string {
  const secret = key ?? randomBytes(32);
  return (text) => createHmac('sha256', secret).update(text).digest('base64url').slice(0, 16);
}

/** Calls `log` at most once in `everyMs` for each name, with the number of calls swallowed since. */
export function createThrottle(everyMs: number, now: () => number = Date.now) {
  const last = new Map<string, { at: number; swallowed: number }>();
  return (name: string, log: (swallowed: number) => void): void => {
    const entry = last.get(name);
    if (entry && now() - entry.at < everyMs) {
      entry.swallowed++;
      return;
    }
    last.set(name, { at: now(), swallowed: 0 });
    log(entry?.swallowed ?? 0);
  };
}
