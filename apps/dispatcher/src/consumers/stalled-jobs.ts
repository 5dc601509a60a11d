import type { Metrics } from '@headrace/shared/metrics.ts';
import type { Worker } from 'bullmq';

/** Counts the jobs of a queue that a dispatcher which has gone had held. */
export function countStalled(worker: Worker, { counters }: Metrics): void {
  const queue = worker.name;
  counters.jobs_stalled.inc({ queue }, 0);
  worker.on('stalled', () => counters.jobs_stalled.inc({ queue }));
}
