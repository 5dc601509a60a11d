import type { Job } from '@headrace/shared/jobs.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import { PRIORITIES, type Priority } from '@headrace/shared/queues.ts';

type Timings = NonNullable<Job['timings']>;

/** Puts the timings of finished jobs into the histograms of one model, looked up once. */
export function createTimingsObserver(
  { histograms }: Metrics,
  model: string,
): (timings: Timings, priority: Priority) => void {
  // Counted from 0 on: the first jobs of a worker are an increase then, and may be late ones.
  for (const priority of PRIORITIES) histograms.job_wait_seconds.zero({ model, priority });
  const queue = histograms.job_queue_seconds.labels(model);
  const tokenize = histograms.job_tokenize_seconds.labels(model);
  const batchWait = histograms.job_batch_wait_seconds.labels(model);
  const infer = histograms.job_infer_seconds.labels(model);
  const total = histograms.job_total_seconds.labels(model);
  return (timings, priority) => {
    const { queue_ms, tokenize_ms, batch_wait_ms } = timings;
    histograms.job_wait_seconds
      .labels(model, priority)
      .observe((queue_ms + tokenize_ms + batch_wait_ms) / 1000);
    queue.observe(timings.queue_ms / 1000);
    tokenize.observe(timings.tokenize_ms / 1000);
    batchWait.observe(timings.batch_wait_ms / 1000);
    infer.observe(timings.infer_ms / 1000);
    total.observe(timings.total_ms / 1000);
  };
}
