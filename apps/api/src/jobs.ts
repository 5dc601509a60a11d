import { AppError } from '@headrace/shared/errors.ts';
import { type JobStore, RetrySchema } from '@headrace/shared/job-store.ts';
import { type Job, type JobRecord, liveJob } from '@headrace/shared/jobs.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import type { ModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { FinishedHub } from './finished-hub.ts';
import { createJobLookup, FRESH } from './job-lookup.ts';
import { createSettle } from './job-settle.ts';
import { createJobWaits, type JobView } from './job-waits.ts';
import type { WaitOptions } from './job-watch.ts';
import type { Caller } from './middleware/caller.ts';
import type { Once } from './middleware/idempotency.ts';
import type { Submission, Submit, Submitted } from './submit.ts';
import type { WorkersView } from './workers-view.ts';

export interface JobsDeps {
  redis: Redis;
  keys: Keyspace;
  store: JobStore;
  hub: FinishedHub;
  submit: Submit;
  models: ModelCatalogue;
  queues: Map<string, Queue>;
  workers: WorkersView;
  metrics: Metrics;
  resultTtlMs: number;
  now?: () => number;
}

/** A job as it was when it was accepted, by this request or by an earlier one under its key. */
export interface Accepted {
  job: Job;
  replayed: boolean;
}

/** A job of a tenant: what the routes of every API surface call. */
export interface Jobs {
  /** Submits and returns the queued job at once. */
  submit(submission: Submission): Promise<Accepted>;
  /** Submits and waits; the job is finished or as it stands then. */
  submitAndWait(submission: Submission, options: WaitOptions): Promise<JobView>;
  /** @throws AppError `not_found`, the same for an unknown id and for another tenant's */
  get(tenant: string, id: string): Promise<Job>;
  /** Waits for the job to finish; the job is finished or as it stands then. */
  wait(tenant: string, id: string, options: WaitOptions): Promise<JobView>;
  /** @throws AppError `not_found`, `job_already_finished` */
  cancel(tenant: string, id: string): Promise<Job>;
  /** @throws AppError `not_found`, `invalid_request` when it succeeded or is live */
  retry(caller: Caller, id: string, once: Once | null): Promise<Accepted>;
  /** Gives a job that waits past its `ttl_s` its terminal state, and has the queue forget it. */
  expire(id: string): Promise<void>;
  /** Removes a finished job. @throws AppError `not_found`, `job_not_finished` */
  remove(tenant: string, id: string): Promise<void>;
}

export function createJobs(deps: JobsDeps): Jobs {
  const settle = createSettle(deps);
  const lookup = createJobLookup(deps, settle);
  const { find, render } = lookup;

  return {
    ...createJobWaits(deps, lookup),
    expire: lookup.expire,

    async submit(submission) {
      return accepted(await deps.submit(submission));
    },

    async get(tenant, id) {
      return render(id, await find(tenant, id));
    },

    async cancel(tenant, id) {
      const found = await find(tenant, id);
      if ('record' in found) throw new AppError('job_already_finished');
      const record = await settle(id, found.live, 'canceled');
      if (record.job.status !== 'canceled') throw new AppError('job_already_finished');
      return record.job;
    },

    async retry(caller, id, once) {
      const { tenant } = caller;
      const found = await find(tenant, id);
      if ('live' in found) throw new AppError('job_not_finished');
      const { job } = found.record;
      const { rows, webhook, ...rest } = retryOf(found.record);
      const { priority, metadata, model } = job;
      const request = { ...rest, model, input: rows, priority, metadata };
      return accepted(await deps.submit({ tenant, caller, request, retryOf: id, webhook, once }));
    },

    async remove(tenant, id) {
      const found = await find(tenant, id);
      if ('live' in found) throw new AppError('job_not_finished');
      await deps.store.remove(tenant, id, deps.models.queues);
    },
  };
}

/** @throws AppError `invalid_request` when nothing is kept to be tried again, or nothing readable */
function retryOf({ job, retry }: JobRecord) {
  if (job.status === 'succeeded')
    throw notRetried('failed, canceled and expired jobs can be retried');
  // A newer API or worker may have written it.
  const known = RetrySchema.safeParse(retry);
  if (!known.success) throw notRetried('it is of a newer version, which this API cannot submit');
  return known.data;

  function notRetried(why: string): AppError {
    const message = `the job is ${job.status}; ${why}`;
    return new AppError('invalid_request', { message, param: 'id' });
  }
}

function accepted({ id, payload, model, replayed }: Submitted): Accepted {
  return { job: liveJob(id, payload, { ...FRESH, task: model.task.name }), replayed };
}
