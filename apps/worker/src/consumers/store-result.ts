import { setTimeout as sleep } from 'node:timers/promises';
import type { FinishedJob, JobStore } from '@headrace/shared/job-store.ts';
import type { Logger } from '@headrace/shared/logger.ts';

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 2_000;

/**
 * Writes a finished record however long Redis refuses it (full, read-only, loading): what was
 * inferred is not thrown away. Commands that find no connection wait in it by themselves.
 * @returns false when the job already had a terminal state
 */
export async function storeResult(
  store: JobStore,
  finished: FinishedJob,
  log: Logger,
): Promise<boolean> {
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, LONGEST_DELAY_MS)) {
    try {
      return await store.finish(finished);
    } catch (err) {
      log.debug({ event: 'job.store_retry', id: finished.id, err }, 'result could not be stored');
      await sleep(delayMs);
    }
  }
}
