import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@headrace/shared/errors.ts';
import { type Job, liveJob } from '@headrace/shared/jobs.ts';
import { redisFailure } from '@headrace/shared/redis.ts';
import type { StoredRecord } from '@headrace/shared/stored-record.ts';
import { FRESH, type JobLookup } from './job-lookup.ts';
import { type JobWatch, READ_AGAIN_MS, type WaitOptions, watchJob } from './job-watch.ts';
import type { Jobs, JobsDeps } from './jobs.ts';
import type { Submission, Submitted } from './submit.ts';

/** A job on its way to the caller who waited for it. */
export interface JobView {
  readonly finished: boolean;
  /** Submitted by an earlier request under the same Idempotency-Key. */
  readonly replayed: boolean;
  readonly job: Job;
  /** The job as JSON: as it was stored where it can be, else written when asked for. */
  readonly json: string;
}

/**
 * The ways to wait for a job. They read it when a notice says so, and poll only while Redis does not
 * answer.
 */
export function createJobWaits(
  deps: JobsDeps,
  { find, render }: JobLookup,
): Pick<Jobs, 'submitAndWait' | 'wait'> {
  async function submitAndWait(submission: Submission, options: WaitOptions): Promise<JobView> {
    let watch: JobWatch | null = null;
    try {
      const submitted = await deps.submit({
        ...submission,
        beforeEnqueue: (id) => {
          watch = watchJob(deps.hub, id, options);
        },
      });
      if (submitted.replayed) return await awaitReplayed(submitted, options);
      return await awaitSubmitted(submitted, watch);
    } finally {
      stopWatch(watch);
    }
  }

  /** It may be finished already, or removed: then it is answered as it was accepted. */
  async function awaitReplayed(submitted: Submitted, options: WaitOptions): Promise<JobView> {
    try {
      return replayOf(await wait(submitted.payload.tenant, submitted.id, options));
    } catch (error) {
      const isGone = error instanceof AppError && error.code === 'not_found';
      if (!isGone && !redisFailure(error)) throw error;
      return replayOf(viewAccepted(submitted));
    }
  }

  async function awaitSubmitted(submitted: Submitted, watch: JobWatch | null): Promise<JobView> {
    const { id, payload } = submitted;
    try {
      const record = watch && (await awaitRecord(id, watch));
      return record
        ? viewRecord(record)
        : viewJob(await render(id, await find(payload.tenant, id)));
    } catch (error) {
      // The job is accepted: an error now would make the caller submit it once more.
      if (redisFailure(error)) return viewAccepted(submitted);
      throw error;
    }
  }

  /** The record as soon as there is one, or null when the wait is over. */
  async function awaitRecord(id: string, watch: JobWatch): Promise<StoredRecord | null> {
    for (;;) {
      const record = (await watch.next()) ?? (await read(id, watch));
      if (record || watch.over) return record;
    }
  }

  /** Who waits outlives an outage of Redis that is shorter than the wait. */
  async function read(id: string, watch: JobWatch): Promise<StoredRecord | null> {
    for (;;) {
      try {
        return await deps.store.read(id);
      } catch (error) {
        if (watch.over || !redisFailure(error)) throw error;
        await sleep(READ_AGAIN_MS);
      }
    }
  }

  async function wait(tenant: string, id: string, options: WaitOptions): Promise<JobView> {
    const watch = watchJob(deps.hub, id, options);
    try {
      const found = await find(tenant, id);
      if ('record' in found) return viewJob(found.record.job);
      const record = await awaitRecord(id, watch);
      return record ? viewRecord(record) : viewJob(await render(id, await find(tenant, id)));
    } finally {
      watch.stop();
    }
  }

  return { submitAndWait, wait };
}

function viewAccepted({ id, payload, model }: Submitted): JobView {
  return viewJob(liveJob(id, payload, { ...FRESH, task: model.task.name }));
}

function replayOf({ finished, job, json }: JobView): JobView {
  return { finished, job, json, replayed: true };
}

function viewJob(job: Job): JobView {
  return {
    finished: job.finished_at !== null,
    replayed: false,
    job,
    get json() {
      return JSON.stringify(job);
    },
  };
}

function viewRecord(record: StoredRecord): JobView {
  return {
    finished: true,
    replayed: false,
    get job() {
      return record.job;
    },
    get json() {
      return record.jobJson;
    },
  };
}

function stopWatch(watch: JobWatch | null): void {
  watch?.stop();
}
