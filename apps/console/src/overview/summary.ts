import type { ModelSample, OverviewSample } from '@headrace/client';

/** All models of a sample together, or one of them. */
export interface Summary {
  at: number;
  rows: number;
  tokens: number;
  bulkRows: number;
  drainS: number | null;
  /** Most that are ready for one model: a worker may serve several. */
  workers: number;
  rowsPerS: number | null;
  tokensPerS: number | null;
  jobsPerS: number | null;
  paddingRatio: number | null;
  batchRows: number | null;
  /** Of the slowest model: percentiles of several cannot be put together. */
  waitMs: Percentiles | null;
  totalMs: Percentiles | null;
  busy: number | null;
  engines: number;
  enginesReady: number;
  redisBytes: number | null;
  redisMaxBytes: number | null;
}

export interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}

/** @param model `name@version`; null: all */
export function summaryOf(sample: OverviewSample, model: string | null): Summary {
  const models = sample.models.filter((each) => model === null || each.model === model);
  const traffic = models.flatMap((each) => each.traffic ?? []);
  const engines = models.flatMap((each) => each.engines ?? []);
  const rowsPerS = sumOrNull(traffic, (each) => each.rows_per_s);
  const tokensPerS = sumOrNull(traffic, (each) => each.tokens_per_s);
  const busyEngines = engines.filter(({ busy }) => busy !== null);
  const total = sum(busyEngines, (each) => each.total);
  return {
    at: sample.at,
    rows: sum(models, (each) => each.backlog.rows),
    tokens: sum(models, (each) => each.backlog.tokens),
    bulkRows: sum(models, (each) => each.bulk.rows),
    drainS: most(models.map(drainS)),
    workers: Math.max(0, ...models.map((each) => each.workers)),
    rowsPerS,
    tokensPerS,
    jobsPerS: sumOrNull(traffic, (each) => each.jobs_per_s),
    paddingRatio: weighted(traffic, ({ padding_ratio, tokens_per_s }) =>
      padding_ratio === null
        ? null
        : [padding_ratio, tokens_per_s / Math.max(1e-6, 1 - padding_ratio)],
    ),
    batchRows: weighted(traffic, ({ batch_rows, rows_per_s }) =>
      batch_rows === null ? null : [batch_rows, rows_per_s / Math.max(1e-6, batch_rows)],
    ),
    waitMs: slowest(traffic.map((each) => each.wait_ms)),
    totalMs: slowest(traffic.map((each) => each.total_ms)),
    busy: total === 0 ? null : sum(busyEngines, (each) => each.total * (each.busy ?? 0)) / total,
    engines: sum(engines, (each) => each.total),
    enginesReady: sum(engines, (each) => each.ready),
    redisBytes: sample.redis?.used_bytes ?? null,
    redisMaxBytes: sample.redis?.max_bytes ?? null,
  };
}

/** Seconds for all that waits for a model, jobs and batches; null where nothing tells. */
export function drainS({ backlog, bulk }: ModelSample): number | null {
  const { drain_s } = backlog;
  if (drain_s === null && bulk.drain_s === null) return null;
  return (drain_s ?? 0) + (bulk.drain_s ?? 0);
}

/** Errors of all samples, by what failed and why, most frequent first. */
export function errorsOf(samples: OverviewSample[]): { code: string; of: string; count: number }[] {
  const sums = new Map<string, { code: string; of: string; count: number }>();
  for (const { errors } of samples) {
    for (const { code, of, count } of errors ?? []) {
      const known = sums.get(`${of} ${code}`) ?? { code, of, count: 0 };
      sums.set(`${of} ${code}`, { ...known, count: known.count + count });
    }
  }
  return [...sums.values()].sort((a, b) => b.count - a.count);
}

function sum<T>(list: T[], of: (each: T) => number): number {
  return list.reduce((all, each) => all + of(each), 0);
}

function sumOrNull<T>(list: T[], of: (each: T) => number): number | null {
  return list.length === 0 ? null : sum(list, of);
}

function most(values: (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}

function weighted<T>(list: T[], of: (each: T) => [number, number] | null): number | null {
  const parts = list.map(of).filter((part) => part !== null);
  const weight = sum(parts, ([, w]) => w);
  return weight === 0 ? null : sum(parts, ([value, w]) => value * w) / weight;
}

function slowest(list: (Percentiles | null)[]): Percentiles | null {
  const known = list.filter((each) => each !== null);
  return known.sort((a, b) => b.p95 - a.p95)[0] ?? null;
}
