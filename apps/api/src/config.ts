import { blobEnv } from '@headrace/shared/blobs/index.ts';
import { commonEnv, flag, integer, parseEnv } from '@headrace/shared/env.ts';
import { inputEnv } from '@headrace/shared/inputs/allowed-places.ts';
import { receiverEnv } from '@headrace/shared/webhooks/receiver-rules.ts';
import { z } from 'zod';

/** Every variable of the API with its trade-off; the table in the README is made from it. */
export const apiEnv = {
  ...commonEnv,
  ...blobEnv,
  ...inputEnv,
  ...receiverEnv,
  HOST: z
    .string()
    .default('127.0.0.1')
    .describe(
      'Address to listen on; anything but loopback needs an API key, or HEADRACE_AUTH=off.',
    ),
  PORT: integer(0, 65_535).default(8000).describe('Port to listen on; 0 takes any free one.'),
  HEADRACE_AUTH: z
    .enum(['on', 'off'])
    .default('on')
    .describe('off: whoever reaches the port may use it, so the network must keep others away.'),
  HEADRACE_ADMIN_KEY: z
    .string()
    .regex(/^[\x21-\x7e]{32,256}$/, 'must be 32 to 256 visible ASCII characters')
    .optional()
    .describe('A key with every right, to make the first keys with; unset it when they exist.'),
  HEADRACE_METRICS_OPEN: flag
    .default(true)
    .describe('/metrics without a key; off: scope admin, which Prometheus must then be given.'),
  HEADRACE_CONSOLE: flag
    .default(true)
    .describe(
      'The console at /; it asks for a key as every client does. off: nothing is served there.',
    ),
  HEADRACE_DEFAULT_MODEL: z
    .string()
    .min(1)
    .max(128)
    .default('sentiment')
    .describe('Model of requests that name none, and of /predict: name or name@version.'),
  HEADRACE_READY_NEEDS_WORKER: flag
    .default(true)
    .describe('/ready asks for a ready worker; off where workers scale to zero and jobs may wait.'),
  HEADRACE_MAX_BODY_BYTES: integer(1_024, 64 * 1_048_576)
    .default(1_048_576)
    .describe('Largest request body; every request in flight may hold a few times as much memory.'),
  HEADRACE_MAX_ROWS: integer(1, 100_000)
    .default(2_048)
    .describe('Most rows of one job; long jobs keep a worker busy and make large results.'),
  HEADRACE_MAX_ROW_CHARACTERS: integer(1, 10_000_000)
    .default(100_000)
    .describe('Most characters of one row; models cut far earlier, Redis stores all of them.'),
  HEADRACE_MAX_FILE_BYTES: integer(1, 1024 ** 4)
    .default(10 * 1024 ** 3)
    .describe('Largest file that may be uploaded; the file storage has to hold it.'),
  HEADRACE_FILE_TTL_S: integer(3_600, 365 * 86_400)
    .default(30 * 86_400)
    .describe('How long a file is kept, unless its upload asks for less.'),
  HEADRACE_DELIVERY_TTL_S: integer(60, 30 * 86_400)
    .default(3 * 86_400)
    .describe(
      'How long a webhook, its body and its log are kept, also after its job is gone; the last ' +
        'attempt is made after about two days, and longer costs Redis memory.',
    ),
  HEADRACE_MAX_WAIT_S: integer(1, 600)
    .default(60)
    .describe('Longest Prefer: wait; proxies on the way must keep a request open that long.'),
  HEADRACE_PREDICT_TIMEOUT_S: integer(1, 600)
    .default(10)
    .describe('How long /predict waits for its answer before it gives 504 with the job id.'),
  HEADRACE_MAX_BACKLOG_ROWS: integer(1, 1_000_000_000)
    .default(1_000_000)
    .describe(
      'Rows that may wait for one model before new jobs get 429, but for tenants that have less ' +
        'than a hundredth of it; they live in Redis.',
    ),
  HEADRACE_MAX_BACKLOG_S: integer(0, 30 * 86_400)
    .default(3_600)
    .describe(
      'Seconds of work of all ready workers that may wait for one model before new jobs get 429, ' +
        'but for tenants that have less than a hundredth of it; 0: no limit.',
    ),
  HEADRACE_SCALING_TOKENS_PER_S: integer(1, 1_000_000_000)
    .default(8_000)
    .describe(
      'What one worker is taken to do before any of its model has said its own speed; ' +
        '/v1/scaling weighs by it how long what waits takes. Too low starts too many at first.',
    ),
  HEADRACE_RATE_ROWS_PER_S: integer(0, 1_000_000_000)
    .default(0)
    .describe(
      'Rows a second that one API key may submit as jobs in the long run; 0: as many as it can. ' +
        'Batches are bounded by HEADRACE_TENANT_MAX_BATCHES, and share the work by weight.',
    ),
  HEADRACE_RATE_BURST_ROWS: integer(1, 1_000_000_000)
    .default(10_000)
    .describe('Rows that a key may submit at once after a pause; no job may have more.'),
  HEADRACE_TENANT_MAX_ROWS: integer(0, 1_000_000_000)
    .default(0)
    .describe('Rows of one tenant that may wait or run for one model; 0: up to the backlog.'),
  HEADRACE_TENANT_MAX_BATCHES: integer(1, 10_000)
    .default(100)
    .describe('Batches of one tenant that have not ended; the dispatcher looks at each of them.'),
  HEADRACE_MAX_STREAMS: integer(1, 100_000)
    .default(1_000)
    .describe('Event streams open at once in one process; each holds a socket.'),
  HEADRACE_MAX_CONNECTIONS: integer(1, 1_000_000)
    .default(10_000)
    .describe('Sockets open at once in one process; more are closed as they come.'),
  HEADRACE_DRAIN_S: integer(0, 600)
    .default(5)
    .describe('On SIGTERM, how long waiting requests may go on before they are answered early.'),
  HEADRACE_LINGER_MS: integer(0, 60_000)
    .default(1_000)
    .describe(
      'Of HEADRACE_DRAIN_S, how long connections that clients keep may be used once more; with less, ' +
        'a request may meet its connection being closed.',
    ),
};

export type ApiConfig = z.infer<z.ZodObject<typeof apiEnv>>;

/**
 * Parses the environment.
 * @throws ConfigError that lists all problems
 */
export function parseConfig(env: Record<string, string | undefined>): ApiConfig {
  return parseEnv(z.object(apiEnv), env);
}
