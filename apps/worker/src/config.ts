import { availableParallelism } from 'node:os';
import { blobEnv } from '@headrace/shared/blobs/index.ts';
import { ConfigError, commonEnv, integer, parseEnv } from '@headrace/shared/env.ts';
import { inputEnv } from '@headrace/shared/inputs/allowed-places.ts';
import { z } from 'zod';
import { PROVIDERS, type ProviderName } from './inference/providers/index.ts';

const PROVIDER_NAMES = Object.keys(PROVIDERS) as [ProviderName, ...ProviderName[]];

/** The most padded cells of a tensor batch, where nothing else is configured. */
const TOKEN_BUDGETS: Record<ProviderName, number> = { cpu: 512, cuda: 16_384 };
/** What starting a run costs, in cells: little on a CPU core, kernel launches on a GPU. */
const OVERHEAD_CELLS: Record<ProviderName, number> = { cpu: 16, cuda: 2_048 };

export const workerEnv = z.object({
  ...commonEnv,
  ...blobEnv,
  ...inputEnv,
  HEADRACE_MODELS: z
    .string()
    .regex(/^[\w.@:-]+(,[\w.@:-]+)*$/, 'must be a list such as sentiment,minilm@1:w8')
    .optional()
    .describe(
      'Models to serve, name[@version][:variant]; the variant must be the same on all workers. ' +
        'Unset: the newest version of every model. Each model costs engines × its memory.',
    ),
  HEADRACE_PROVIDER: z
    .enum(PROVIDER_NAMES)
    .default('cpu')
    .describe('Where the graph runs. cuda needs the libraries that "On a GPU" names.'),
  HEADRACE_DEVICE_ID: integer(0, 63).default(0).describe('Ordinal of the GPU; without one unused.'),
  HEADRACE_ENGINE: z
    .enum(['onnx', 'null'])
    .default('onnx')
    .describe('null answers zeros at once, to measure everything but the model; never in service.'),
  HEADRACE_NULL_CELLS_PER_S: integer(0, 1_000_000_000)
    .default(0)
    .describe(
      'Padded cells a second that a null engine pretends to do, as a device would; 0: no limit.',
    ),
  HEADRACE_ENGINES: integer(0, 64)
    .default(0)
    .describe('Engine processes a model. 0: one a core, or one a GPU. More than cores is slower.'),
  HEADRACE_ENGINE_THREADS: integer(1, 64)
    .default(1)
    .describe('Threads of one engine. 1 for throughput; all cores and one engine for latency.'),
  HEADRACE_ENGINE_NICENESS: integer(0, 19)
    .default(0)
    .describe('How far engines stand back for other processes of the machine.'),
  HEADRACE_TOKEN_BUDGET: integer(0, 1_048_576)
    .default(0)
    .describe('Padded cells of a tensor batch; more only pads more on a CPU. 0: 512, GPU 16384.'),
  HEADRACE_MAX_QUEUE_DELAY_MS: integer(0, 1_000)
    .default(5)
    .describe('Longest wait of a small batch for company while every engine is busy.'),
  HEADRACE_CONCURRENCY: integer(1, 4_096)
    .default(192)
    .describe('Jobs held at once a model: more gives fuller batches, and more to give back.'),
  HEADRACE_BULK_CHUNKS: integer(0, 64)
    .default(3)
    .describe('Chunks of batches held at once a model; 0: this worker takes none.'),
  HEADRACE_MAX_HELD_ROWS: integer(1, 1_000_000)
    .default(8_192)
    .describe('Rows held a model before jobs are fetched one at a time; bounds memory.'),
  HEADRACE_TOKENIZER_THREADS: integer(1, 16)
    .default(1)
    .describe('Threads that turn text into ids; one keeps about ten CPU engines busy.'),
  HEADRACE_RUN_TIMEOUT_MS: integer(0, 600_000)
    .default(0)
    .describe(
      'A run that takes longer is killed. 0: 20 × the largest run at warm-up, at least 2 s.',
    ),
  HEADRACE_DRAIN_TIMEOUT_S: integer(0, 3_600)
    .default(25)
    .describe('After SIGTERM, what runs may finish so long; keep it below the grace period.'),
  HEADRACE_PROBES_HOST: z
    .string()
    .default('127.0.0.1')
    .describe('Address of /health, /ready and /metrics; 0.0.0.0 in a container.'),
  HEADRACE_PROBES_PORT: integer(0, 65_535)
    .default(8_001)
    .describe('Port of /health, /ready and /metrics; 0 takes any free one.'),
});

export type WorkerConfig = ReturnType<typeof parseWorkerConfig>;

/** @throws ConfigError with every problem at once */
export function parseWorkerConfig(env: Record<string, string | undefined>) {
  const parsed = parseEnv(workerEnv, env);
  const provider = parsed.HEADRACE_PROVIDER;
  return {
    ...parsed,
    engines: parsed.HEADRACE_ENGINES || (provider === 'cpu' ? availableParallelism() : 1),
    tokenBudget: parsed.HEADRACE_TOKEN_BUDGET || TOKEN_BUDGETS[provider],
    overheadCells: OVERHEAD_CELLS[provider],
    models: parsed.HEADRACE_MODELS?.split(',').map(parseModelChoice) ?? null,
  };
}

export interface ModelChoice {
  name: string;
  /** null: the newest. */
  version: string | null;
  /** null: the manifest's default. */
  variant: string | null;
}

function parseModelChoice(text: string): ModelChoice {
  const match = /^([^@:]+)(?:@([^@:]+))?(?::([^@:]+))?$/.exec(text);
  if (match === null) {
    throw new ConfigError(`HEADRACE_MODELS: ${text} is not name[@version][:variant]`);
  }
  const [, name = '', version = null, variant = null] = match;
  return { name, version, variant };
}
