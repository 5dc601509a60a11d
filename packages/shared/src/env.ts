import { z } from 'zod';
import { redisUrlProblem } from './redis/address.ts';
import { tracingEnv } from './tracing/tracing-env.ts';

/** Thrown with every problem of the environment at once, one a line. */
export class ConfigError extends Error {}

/**
 * Parses environment variables with one schema. Unset and empty variables count as absent.
 * @throws ConfigError that lists all problems, never a value that may be secret
 */
export function parseEnv<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  env: Record<string, string | undefined>,
): z.infer<z.ZodObject<Shape>> {
  const present = Object.fromEntries(
    Object.keys(schema.shape)
      .filter((name) => env[name] !== undefined && env[name] !== '')
      .map((name) => [name, env[name]]),
  );
  const parsed = schema.safeParse(present);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
  throw new ConfigError(`The configuration is not valid:\n${lines.join('\n')}`);
}

/** A whole number within bounds, written in decimal. */
export function integer(min: number, max: number) {
  return z
    .string()
    .regex(/^-?\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(min).max(max));
}

export const flag = z.enum(['0', '1', 'true', 'false', 'on', 'off']).transform((value) => {
  return value === '1' || value === 'true' || value === 'on';
});

/** What every process of Headrace is configured with. */
export const commonEnv = {
  REDIS_URL: z
    .string()
    .superRefine((url, context) => {
      const message = redisUrlProblem(url);
      if (message !== null) context.addIssue({ code: 'custom', message });
    })
    .default('redis://127.0.0.1:6379')
    .describe(
      'The Redis that holds the queues: redis:// or rediss:// (TLS) with user:password@host:port/db, ' +
        'unix:///path, redis-sentinel://host:26379,host:26379/master or ' +
        'redis-cluster://host:6379,host:6379. With rediss, rediss-sentinel and rediss-cluster: ' +
        '?ca=file&cert=file&key=file; with Sentinel: ?sentinel_username=…&sentinel_password=…. ' +
        'A replica that takes over may lack what the master wrote last.',
    ),
  HEADRACE_PREFIX: z
    .string()
    .regex(/^\{[A-Za-z0-9._-]{1,40}\}$/, 'must be a hash tag such as {headrace}')
    .default('{headrace}')
    .describe('Prefix of every key; the braces keep all keys of a Redis Cluster in one slot.'),
  HEADRACE_MODELS_DIR: z
    .string()
    .default('models')
    .describe('Folder with <name>/<version>/model.json; the same on API and workers.'),
  HEADRACE_RESULT_TTL_S: integer(1, 30 * 86_400)
    .default(86_400)
    .describe('How long a finished job and its result are kept; longer costs Redis memory.'),
  HEADRACE_LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('Lowest level that is logged; debug writes a line for every job and request.'),
  HEADRACE_LOG_KEY: z
    .string()
    .min(16)
    .optional()
    .describe('Key of the HMAC that stands for texts in logs; unset: random for each process.'),
  ...tracingEnv,
};
