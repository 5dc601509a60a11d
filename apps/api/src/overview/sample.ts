import { z } from '@hono/zod-openapi';
import type { RecentActivity } from './activity-window.ts';

const Percentiles = z.object({ p50: z.number(), p95: z.number(), p99: z.number() });

const Traffic = z.object({
  rows_per_s: z.number(),
  tokens_per_s: z.number(),
  jobs_per_s: z.number().describe('Interactive jobs that came to their end.'),
  padding_ratio: z.number().nullable().describe('Share of cells without a token.'),
  batch_rows: z.number().nullable().describe('Rows of a tensor batch, on average.'),
  wait_ms: Percentiles.nullable().describe('From submission to the start of the run.'),
  total_ms: Percentiles.nullable().describe('From submission to the result.'),
});

const Engines = z.object({
  total: z.int(),
  ready: z.int(),
  busy: z.number().nullable().describe('Share of their time in runs, 0 to 1.'),
  restarts: z.int().describe('Since the workers that live now have started.'),
});

const ErrorCount = z.object({
  code: z.string(),
  of: z.enum(['job', 'request']).describe('What failed.'),
  count: z.int(),
});

const ModelSample = z.object({
  model: z.string().describe('name@version'),
  workers: z.int().describe('That are ready for it.'),
  backlog: z.object({
    rows: z.number().describe('Of interactive jobs.'),
    tokens: z.number(),
    chunks: z.int().describe('Of batches, as far as they were handed out.'),
    drain_s: z.number().nullable().describe('Seconds that all ready workers need for it.'),
    oldest_s: z.number().nullable().describe('Age of the job that is next.'),
  }),
  bulk: z
    .object({ rows: z.int(), tokens: z.int(), drain_s: z.number().nullable() })
    .describe('What is left of the batches that are being worked on.'),
  traffic: Traffic.nullable(),
  engines: Engines.nullable(),
});

export const OverviewSampleSchema = z
  .object({
    at: z.number().describe('Unix seconds.'),
    models: z.array(ModelSample),
    redis: z
      .object({ used_bytes: z.int(), max_bytes: z.int().nullable() })
      .nullable()
      .describe('Its memory.'),
    errors: z.array(ErrorCount).nullable().describe('Since the sample before.'),
  })
  .meta({ id: 'OverviewSample' });
export type OverviewSample = z.infer<typeof OverviewSampleSchema>;

/**
 * What a key without the scope `admin` may know of the traffic of all tenants: no more than
 * `/v1/models` and `/v1/scaling` tell it.
 */
export function forTenants(sample: OverviewSample): OverviewSample {
  return {
    at: sample.at,
    models: sample.models.map((model) => ({
      ...model,
      backlog: { ...model.backlog, oldest_s: null },
      traffic: null,
      engines: null,
    })),
    redis: null,
    errors: null,
  };
}

/** The figures of a model as they are shown: whole or with a few places. */
export function measured(recent: RecentActivity): {
  traffic: z.infer<typeof Traffic>;
  engines: z.infer<typeof Engines>;
} {
  const { engines } = recent;
  return {
    traffic: {
      rows_per_s: rounded(recent.rowsPerS, 1),
      tokens_per_s: rounded(recent.tokensPerS, 0),
      jobs_per_s: rounded(recent.jobsPerS, 1),
      padding_ratio: recent.paddingRatio === null ? null : rounded(recent.paddingRatio, 3),
      batch_rows: recent.batchRows === null ? null : rounded(recent.batchRows, 1),
      wait_ms: recent.waitMs,
      total_ms: recent.totalMs,
    },
    engines: { ...engines, busy: engines.busy === null ? null : rounded(engines.busy, 3) },
  };
}

export function rounded(value: number, places: number): number {
  const factor = 10 ** places;
  return Math.round(value * factor) / factor;
}
