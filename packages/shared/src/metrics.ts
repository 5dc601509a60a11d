import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Resolve one millisecond and one minute. */
const LATENCY_BUCKETS_S = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300,
];
const ROW_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/** A sample wakes the process up: often enough for a percentile, too seldom to cost. */
const LAG_SAMPLE_MS = 50;

/** Every metric's name, help and labels. No label ever holds anything that a client sent. */
const COUNTERS = {
  jobs_submitted: ['Jobs accepted', ['model', 'priority']],
  jobs_finished: ['Jobs that reached a terminal state', ['model', 'status', 'code']],
  jobs_stalled: ['Jobs that were held by a process that had gone', ['queue']],
  jobs_given_back: ['Jobs that a process gave back when it stopped', ['queue']],
  results_refused: ['Results of jobs that had come to their end by then', ['model']],
  jobs_put_off: ['Takes of jobs that only a newer worker can read', ['model']],
  rows: ['Rows inferred', ['model']],
  rows_truncated: ['Rows that were cut to what the model takes', ['model']],
  rows_failed: ['Rows without a result, of jobs and of batches', ['model', 'code']],
  tokens: ['Tokens inferred', ['model']],
  cells: ['Cells of tensor batches: real ones hold a token, padded ones do not', ['model', 'kind']],
  engine_restarts: ['Engine processes started anew', ['model', 'reason']],
  webhook_attempts: ['Callbacks sent, by what the receiver answered', ['outcome', 'code']],
  webhook_deliveries: ['Deliveries that are settled', ['outcome']],
  errors: ['Errors answered to callers', ['code']],
} as const;

const HISTOGRAMS = {
  job_wait_seconds: [
    'From submission to the start of the run',
    LATENCY_BUCKETS_S,
    ['model', 'priority'],
  ],
  job_queue_seconds: ['From submission to the fetch by a worker', LATENCY_BUCKETS_S, ['model']],
  job_tokenize_seconds: ['From the fetch to the last token', LATENCY_BUCKETS_S, ['model']],
  job_batch_wait_seconds: ['From tokens to the start of the run', LATENCY_BUCKETS_S, ['model']],
  job_infer_seconds: ['Runs of the tensor batches that held the job', LATENCY_BUCKETS_S, ['model']],
  job_total_seconds: ['From submission to the finished record', LATENCY_BUCKETS_S, ['model']],
  batch_rows: ['Rows of a tensor batch', ROW_BUCKETS, ['model']],
  batch_infer_seconds: ['Run of a tensor batch', LATENCY_BUCKETS_S, ['model']],
  webhook_attempt_seconds: ['Callbacks, to the head of the answer', LATENCY_BUCKETS_S, ['outcome']],
  http_request_seconds: ['HTTP requests', LATENCY_BUCKETS_S, ['method', 'route', 'status']],
} as const;

const GAUGES = {
  padding_ratio: ['Share of padded cells in the tensor batches of the last minute', ['model']],
  tokens_per_second: ['Tokens inferred a second while busy', ['model']],
  queue_jobs: ['Jobs of a queue by state', ['queue', 'state']],
  queue_oldest_age_seconds: ['Age of the oldest job that waits', ['queue']],
  backlog_rows: ['Rows that wait or run', ['queue']],
  backlog_tokens: ['Estimated tokens of the rows that wait or run', ['queue']],
  batches: ['Batches that have not ended, by what they wait for', ['status', 'waiting_for']],
  engines: ['Engine processes of this worker', ['model', 'state']],
  gpu_utilization_ratio: ['Share of time in which the GPU ran anything', ['gpu', 'uuid']],
  gpu_memory_used_bytes: ['Memory of the GPU that is used, by whomever', ['gpu', 'uuid']],
  gpu_memory_total_bytes: ['Memory of the GPU', ['gpu', 'uuid']],
  workers_ready: ['Workers that are ready for a model', ['model']],
  redis_connected: ['Whether this process has its connection to Redis: 1, or 0', []],
  redis_memory_ratio: ['Used share of maxmemory; 0 without a limit', []],
  event_loop_lag_seconds: ['Event-loop delay, 99th percentile since the last scrape', []],
} as const;

type Names<T> = { [K in keyof T]: T[K] };

export interface Metrics {
  registry: Registry;
  counters: Record<keyof Names<typeof COUNTERS>, Counter>;
  histograms: Record<keyof Names<typeof HISTOGRAMS>, Histogram>;
  gauges: Record<keyof Names<typeof GAUGES>, Gauge>;
  stop(): void;
}

/** The metrics of one process, all prefixed `headrace_`. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counters = mapValues(
    COUNTERS,
    ([help, labels], name) =>
      new Counter({ name: `headrace_${name}_total`, help, labelNames: [...labels], registers }),
  );
  const histograms = mapValues(
    HISTOGRAMS,
    ([help, buckets, labels], name) =>
      new Histogram({
        name: `headrace_${name}`,
        help,
        buckets: [...buckets],
        labelNames: [...labels],
        registers,
      }),
  );
  const gauges = mapValues(
    GAUGES,
    ([help, labels], name) =>
      new Gauge({ name: `headrace_${name}`, help, labelNames: [...labels], registers }),
  );
  const lag = monitorEventLoopDelay({ resolution: LAG_SAMPLE_MS });
  lag.enable();
  registry.registerMetric(
    new Gauge({
      name: 'headrace_process_resident_memory_bytes',
      help: 'Resident memory of this process',
      registers: [],
      collect() {
        this.set(process.memoryUsage.rss());
        // Node records the time between two samples, not by how much the second was late.
        const lagMs = Math.max(0, lag.percentile(99) / 1e6 - LAG_SAMPLE_MS);
        gauges.event_loop_lag_seconds.set(lagMs / 1000);
        lag.reset();
      },
    }),
  );
  return { registry, counters, histograms, gauges, stop: () => void lag.disable() };
}

function mapValues<T extends Record<string, readonly unknown[]>, V>(
  table: T,
  make: (entry: T[keyof T], name: string) => V,
): Record<keyof T, V> {
  const made: Partial<Record<keyof T, V>> = {};
  for (const name in table) made[name] = make(table[name], name);
  return made as Record<keyof T, V>;
}
