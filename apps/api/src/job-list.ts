import { AppError } from '@headrace/shared/errors.ts';
import type { JobStore } from '@headrace/shared/job-store.ts';
import type { Job, JobStatus } from '@headrace/shared/jobs.ts';
import type { Jobs } from './jobs.ts';

export interface JobFilter {
  status: JobStatus | null;
  /** `name` or `name@version`. */
  model: string | null;
  metadata: Record<string, string>;
}

export interface JobPage {
  data: Job[];
  has_more: boolean;
  first_id: string | null;
  last_id: string | null;
}

export type ListJobs = (options: ListOptions) => Promise<JobPage>;

interface ListOptions {
  tenant: string;
  filter: JobFilter;
  limit: number;
  after: string | null;
}

const IDS_A_STEP = 50;
/** How many jobs one call looks at; a rare match further back needs another call with `after`. */
const MAX_SCANNED = 5_000;

/**
 * Jobs of a tenant, newest first. `has_more` is true while older jobs are left to look at, so a page
 * may be empty and still have a `last_id` to go on from.
 */
export function createJobList({ store, jobs }: JobSources): ListJobs {
  return async ({ tenant, filter, limit, after }: ListOptions): Promise<JobPage> => {
    const data: Job[] = [];
    let cursor = after;
    let scanned = 0;
    while (scanned < MAX_SCANNED) {
      const ids = await store.listIds(tenant, cursor, IDS_A_STEP);
      const found = await Promise.all(ids.map((id) => getOrNull({ store, jobs }, tenant, id)));
      for (const [i, id] of ids.entries()) {
        if (data.length === limit) return page(data, true, cursor);
        cursor = id;
        const job = found[i];
        if (job && matches(job, filter)) data.push(job);
      }
      scanned += ids.length;
      if (ids.length < IDS_A_STEP) return page(data, false, cursor);
    }
    return page(data, true, cursor);
  };
}

function page(data: Job[], hasMore: boolean, cursor: string | null): JobPage {
  return { data, has_more: hasMore, first_id: data[0]?.id ?? null, last_id: cursor };
}

function matches(job: Job, filter: JobFilter): boolean {
  if (filter.status !== null && job.status !== filter.status) return false;
  if (
    filter.model !== null &&
    job.model !== filter.model &&
    !job.model.startsWith(`${filter.model}@`)
  ) {
    return false;
  }
  return Object.entries(filter.metadata).every(([key, value]) => job.metadata[key] === value);
}

interface JobSources {
  store: JobStore;
  jobs: Jobs;
}

async function getOrNull(
  { store, jobs }: JobSources,
  tenant: string,
  id: string,
): Promise<Job | null> {
  try {
    // Most are finished: their records come in one command for the whole step.
    const record = await store.read(id);
    if (record) return record.tenant === tenant ? record.job : null;
    return await jobs.get(tenant, id);
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found') return null;
    throw error;
  }
}
