import { blobEnv } from '@headrace/shared/blobs/index.ts';
import { commonEnv, integer, parseEnv } from '@headrace/shared/env.ts';
import { inputEnv } from '@headrace/shared/inputs/allowed-places.ts';
import { receiverEnv } from '@headrace/shared/webhooks/receiver-rules.ts';
import { z } from 'zod';

export const dispatcherEnv = z.object({
  ...commonEnv,
  ...blobEnv,
  ...inputEnv,
  ...receiverEnv,
  HEADRACE_SWEEP_S: integer(1, 3_600)
    .default(15)
    .describe('How often expired files are deleted; content may outlive its time by so much.'),
  HEADRACE_CHUNK_ROWS: integer(1, 100_000)
    .default(1_000)
    .describe('Rows of a chunk: what a worker that dies computes again, against work for each.'),
  HEADRACE_CHUNK_BYTES: integer(1_024, 256 * 1024 ** 2)
    .default(4 * 1024 ** 2)
    .describe('Most input bytes of a chunk; a worker holds a few chunks in memory.'),
  HEADRACE_MAX_INPUT_BYTES: integer(1_024, 2 ** 43)
    .default(32 * 1024 ** 3)
    .describe('Most bytes that a compressed input may expand to; against bombs, and full disks.'),
  HEADRACE_CHUNK_WINDOW: integer(1, 10_000)
    .default(64)
    .describe('Chunks of a batch that are in Redis at once; at least twice what workers hold.'),
  HEADRACE_FILE_TTL_S: integer(3_600, 365 * 86_400)
    .default(30 * 86_400)
    .describe('How long the files with the results of a batch are kept.'),
  HEADRACE_WEBHOOK_SCHEDULE_S: z
    .string()
    .regex(/^0(,\d{1,6}){0,29}$/, 'must be waits in seconds such as 0,5,30, the first of them 0')
    .default('0,5,30,120,600,1800,3600,10800,21600,43200,86400')
    .describe(
      'Seconds before each attempt of a webhook, from attempt to attempt; longer than ' +
        'HEADRACE_DELIVERY_TTL_S in all, the last attempts are not made.',
    ),
  HEADRACE_WEBHOOK_TIMEOUT_S: integer(1, 60)
    .default(10)
    .describe('How long a receiver of webhooks may take in all; slow ones hold sockets so long.'),
  HEADRACE_WEBHOOK_CONCURRENCY: integer(1, 1_000)
    .default(64)
    .describe(
      'Webhooks sent at once, a quarter of them to one host and three quarters for one tenant; ' +
        'each holds a socket, and all together 32 MiB of bodies.',
    ),
  HEADRACE_WEBHOOK_DISABLE_AFTER_S: integer(1, 365 * 86_400)
    .default(5 * 86_400)
    .describe('A URL that does nothing but fail for so long gets no more webhooks.'),
  HEADRACE_DISPATCHER_PROBES_HOST: z
    .string()
    .default('127.0.0.1')
    .describe('Address of /health, /ready and /metrics; 0.0.0.0 in a container.'),
  HEADRACE_DISPATCHER_PROBES_PORT: integer(0, 65_535)
    .default(8_002)
    .describe('Port of /health, /ready and /metrics; 0 takes any free one.'),
});

export type DispatcherConfig = z.infer<typeof dispatcherEnv>;

/** @throws ConfigError with every problem at once */
export function parseDispatcherConfig(env: Record<string, string | undefined>): DispatcherConfig {
  return parseEnv(dispatcherEnv, env);
}
