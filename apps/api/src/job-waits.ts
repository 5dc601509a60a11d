import { setTimeout as sleep } from 'node:timers/promises';
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
      return await awaitSubmitted(submitted, watch);
    } finally {
      stopWatch(watch);
    }
  }

  async function awaitSubmitted(submitted: Submitted, watch: JobWatch | null): Promise<JobView> {
    const { id, payload, model } = submitted;
    try {
      const record = watch && (await awaitRecord(id, watch));
      return record
        ? viewRecord(record)
        : viewJob(await render(id, await find(payload.tenant, id)));
    } catch (error) {
      // The job is accepted: an error now would make the caller submit it once more.
      if (redisFailure(error)) {
        return viewJob(liveJob(id, payload, { ...FRESH, task: model.task.name }));
      }
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

  return {
    submitAndWait,

    async wait(tenant, id, options) {
      const watch = watchJob(deps.hub, id, options);
      try {
        const found = await find(tenant, id);
        if ('record' in found) return viewJob(found.record.job);
        const record = await awaitRecord(id, watch);
        return record ? viewRecord(record) : viewJob(await render(id, await find(tenant, id)));
      } finally {
        watch.stop();
      }
    },
  };
}

function viewJob(job: Job): JobView {
  return {
    finished: job.finished_at !== null,
    job,
    get json() {
      return JSON.stringify(job);
    },
  };
}

function viewRecord(record: StoredRecord): JobView {
  return {
    finished: true,
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
