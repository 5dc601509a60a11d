import { Worker } from 'bullmq';

/** A BullMQ worker that knows when its fetch loop moved last. */
export class FetchingWorker<Data> extends Worker<Data, void> {
  #fetchedMs = performance.now();

  /** Milliseconds since the loop last heard from Redis, with a job or without. */
  sinceFetchMs(): number {
    return performance.now() - this.#fetchedMs;
  }

  // Every answer to "is there a job?" passes here, whichever command asked.
  protected override nextJobFromJobData(
    ...args: Parameters<Worker<Data, void>['nextJobFromJobData']>
  ): ReturnType<Worker<Data, void>['nextJobFromJobData']> {
    this.#fetchedMs = performance.now();
    return super.nextJobFromJobData(...args);
  }
}
