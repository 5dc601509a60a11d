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
