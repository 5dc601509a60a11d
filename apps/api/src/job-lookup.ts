import { AppError } from '@headrace/shared/errors.ts';
import { isJobId } from '@headrace/shared/ids.ts';
import type { LiveJob } from '@headrace/shared/job-store.ts';
import { type Job, type JobRecord, liveJob } from '@headrace/shared/jobs.ts';
import type { Settle } from './job-settle.ts';
import type { JobsDeps } from './jobs.ts';

export type FoundJob = { record: JobRecord } | { live: LiveJob };

export interface JobLookup {
  /** @throws AppError `not_found`, the same for an unknown id and for another tenant's */
  find(tenant: string, id: string): Promise<FoundJob>;
  /** Gives a job that waits past its `ttl_s` its terminal state, and has the queue forget it. */
  expire(id: string): Promise<void>;
  /** A found job as callers see it; a queued one with its place. */
  render(id: string, found: FoundJob): Promise<Job>;
}

/** BullMQ's priority is not asked again: a fresh job is last in its flow. */
export const FRESH = { attempts: 0, startedMs: null, position: null, etaS: null };

export function createJobLookup(deps: JobsDeps, settle: Settle): JobLookup {
  const now = deps.now ?? Date.now;

  async function find(
    tenant: string,
    id: string,
  ): Promise<{ record: JobRecord } | { live: LiveJob }> {
    const found = isJobId(id) ? await deps.store.find(id, deps.models.queues) : null;
    const owner = found && ('record' in found ? found.record.tenant : found.live.payload.tenant);
    if (!found || owner !== tenant) throw notFound();
    if ('record' in found) return found;
    return (await expireIfDue(id, found.live)) ?? found;
  }

  /** A job that waits past its `ttl_s` has expired, even while no worker runs to say so. */
  async function expireIfDue(id: string, live: LiveJob): Promise<{ record: JobRecord } | null> {
    const { payload } = live;
    if (live.startedMs !== null || now() < payload.created_ms + payload.ttl_s * 1000) return null;
    return { record: await settle(id, live, 'expired') };
  }

  async function expire(id: string): Promise<void> {
    const found = await deps.store.find(id, deps.models.queues);
    if (found && 'live' in found) await expireIfDue(id, found.live);
    // Whoever wrote its end died before it was out of the queue.
    else await Promise.all([...deps.queues.values()].map((queue) => queue.remove(id)));
  }

  async function render(
    id: string,
    found: { record: JobRecord } | { live: LiveJob },
  ): Promise<Job> {
    if ('record' in found) return found.record.job;
    const { live } = found;
    const task = deps.models.resolve(live.payload.model).task.name;
    const place = live.startedMs === null ? await placeInQueue(live) : NO_PLACE;
    return liveJob(id, live.payload, { ...live, ...place, task });
  }

  async function placeInQueue(
    live: LiveJob,
  ): Promise<{ position: number | null; etaS: number | null }> {
    if (live.ahead === null) return NO_PLACE;
    const { jobs, rows, tokens } = await deps.store.backlog(live.queue);
    const held = Math.max(1, jobs.queued + jobs.running + jobs.delayed);
    const jobsAhead = live.ahead + jobs.running;
    const speed = deps.workers.tokensPerSecond(live.payload.model);
    return {
      position: Math.round((jobsAhead * rows) / held),
      etaS: speed > 0 ? Math.ceil((jobsAhead * tokens) / held / speed) : null,
    };
  }

  return { find, expire, render };
}

const NO_PLACE = { position: null, etaS: null };

function notFound(): AppError {
  return new AppError('not_found', { message: 'No such job.' });
}
