import { errorBody } from '@headrace/shared/errors.ts';
import { finishedRecord } from '@headrace/shared/jobs.ts';
import { type JobHead, newerNeeded } from '@headrace/shared/stored-payload.ts';
import type { JobFacts, Outcome } from './outcome.ts';

/** How often a job that no worker can read is put off before it fails: for about an hour. */
const MOST_PUT_OFF = 64;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 60_000;

/**
 * Until a job that this worker cannot read comes again. Not all together: after a downgrade there may
 * be a whole queue of them.
 */
export function putOffDelayMs(timesPutOff: number): number {
  const delayMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(timesPutOff, 16));
  return delayMs * (0.75 + Math.random() / 2);
}

/** The end of a job that this worker cannot read; null while a newer worker may still take it. */
export function endOfUnread(
  facts: Omit<JobFacts, 'payload'> & { payload: JobHead },
  timesPutOff: number,
): Outcome | null {
  const { id, payload, nowMs } = facts;
  const late = nowMs >= payload.created_ms + payload.ttl_s * 1000;
  if (!late && timesPutOff < MOST_PUT_OFF) return null;
  const code = late ? 'expired' : 'unsupported_payload';
  const why = `No worker could read the job. It waited for ${newerNeeded('job', 'worker', payload.v)}.`;
  const finish = {
    ...facts,
    status: late ? 'expired' : 'failed',
    error: errorBody(code, why),
  } as const;
  return { record: finishedRecord(id, payload, finish), code };
}
