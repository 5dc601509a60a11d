import { z } from 'zod';

/** Sparse counts of durations: index of a bucket → how many. */
const BucketsSchema = z.record(z.string(), z.number());
export type Buckets = z.infer<typeof BucketsSchema>;

/**
 * What one worker has done for one model since it started. Sums only: whoever reads two of them
 * knows what was done in between, however many readers there are and whatever they have missed.
 */
export const ActivitySchema = z.object({
  rows: z.number(),
  tokens: z.number(),
  /** Cells of tensor batches, `rows × longest`. */
  cells: z.number(),
  batches: z.number(),
  infer_ms: z.number(),
  engines: z.number(),
  engines_ready: z.number(),
  engine_restarts: z.number(),
  /** Interactive jobs that came to their end here. */
  jobs: z.number(),
  /** Those that failed, by error code. */
  errors: z.record(z.string(), z.number()),
  /** From submission to the start of the run. */
  wait: BucketsSchema,
  /** From submission to the finished record. */
  total: BucketsSchema,
});
export type Activity = z.infer<typeof ActivitySchema>;

/** The lower end of the first bucket. */
const FIRST_MS = 0.125;
/** Buckets of one doubling: each is 19 % wider than the one before. */
const STEPS = 4;
const LAST_BUCKET = 31 * STEPS;

/** The bucket of a duration; so fine that a percentile is off by 9 % at most. */
export function bucketOf(ms: number): number {
  if (!(ms > FIRST_MS)) return 0;
  return Math.min(LAST_BUCKET, Math.floor(Math.log2(ms / FIRST_MS) * STEPS) + 1);
}

/** The middle of a bucket, by ratio. */
function durationOf(bucket: number): number {
  return bucket === 0 ? FIRST_MS : FIRST_MS * 2 ** ((bucket - 0.5) / STEPS);
}

export interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}

/** @param counts by bucket. @returns milliseconds; null when nothing was counted */
export function percentilesOf(counts: ReadonlyMap<number, number>): Percentiles | null {
  const buckets = [...counts].filter(([, count]) => count > 0).sort(([a], [b]) => a - b);
  const all = buckets.reduce((sum, [, count]) => sum + count, 0);
  if (all === 0) return null;
  const at = (share: number) => {
    let seen = 0;
    const [bucket = 0] =
      buckets.find(([, count]) => {
        seen += count;
        return seen >= share * all;
      }) ?? [];
    return Math.round(durationOf(bucket) * 100) / 100;
  };
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
