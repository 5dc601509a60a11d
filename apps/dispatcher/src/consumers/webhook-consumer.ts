import { WEBHOOKS_QUEUE } from '@headrace/shared/queues.ts';
import { DelayedError, type Job, type Worker } from 'bullmq';
import { CallbackError } from '../webhooks/callback-error.ts';
import { type QueueWorkerDeps, startQueueWorker } from './queue-worker.ts';

interface WebhookConsumerOptions extends QueueWorkerDeps {
  /** @returns when to come again, in ms; null when there is nothing more to do */
  deliver: (job: unknown) => Promise<number | null>;
  concurrency: number;
}

/** Takes the jobs of the queue of deliveries; each stays in it until its delivery is settled. */
export function startWebhookConsumer({ deliver, ...options }: WebhookConsumerOptions): Worker {
  const process = async (job: Job, token?: string) => {
    const againMs = await deliver(job.data).catch(atOnceIfCanceled);
    if (againMs === null) return;
    await job.moveToDelayed(againMs, token);
    throw new DelayedError();
  };
  const queue = WEBHOOKS_QUEUE;
  return startQueueWorker({ ...options, queue, process, retried: 'webhook.retried' });
}

/** An attempt that our own end broke off is made by another dispatcher. */
function atOnceIfCanceled(error: unknown): number {
  if (error instanceof CallbackError && error.reason === 'canceled') return Date.now();
  throw error;
}
