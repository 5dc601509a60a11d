import { BATCH_STATUSES, type BatchState, isTerminal } from '@headrace/shared/bulk/batch.ts';
import { waitKind } from '@headrace/shared/bulk/batch-failures.ts';
import type { JobStore } from '@headrace/shared/job-store.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import { ASSEMBLE_QUEUE, PLAN_QUEUE, WEBHOOKS_QUEUE } from '@headrace/shared/queues.ts';

const QUEUES = [PLAN_QUEUE, ASSEMBLE_QUEUE, WEBHOOKS_QUEUE];
const STATUSES = [...BATCH_STATUSES.filter((status) => !isTerminal(status)), 'paused'];

interface QueueGaugesDeps {
  store: JobStore;
  metrics: Metrics;
}

/** Counts the jobs of the dispatcher's own queues each time that it is called. */
export function createQueueGauges({ store, metrics }: QueueGaugesDeps): () => Promise<void> {
  return async () => {
    for (const queue of QUEUES) {
      const jobs = await store.jobs(queue);
      for (const [state, count] of Object.entries(jobs)) {
        metrics.gauges.queue_jobs.set({ queue, state }, count);
      }
    }
  };
}

/** Of all batches that have not ended. */
export function setBatchGauge({ gauges }: Metrics, live: readonly BatchState[]): void {
  gauges.batches.reset();
  for (const status of STATUSES) gauges.batches.set({ status, waiting_for: '' }, 0);
  for (const state of live) {
    const status = state.paused === 1 ? 'paused' : state.status;
    const waiting_for = state.waiting_for === null ? '' : waitKind(state.waiting_for);
    gauges.batches.inc({ status, waiting_for });
  }
}
