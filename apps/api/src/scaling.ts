import type { Backlog, JobStore } from '@headrace/shared/job-store.ts';
import type { ServedModel } from '@headrace/shared/model-catalogue.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import { lastSpeed } from '@headrace/shared/workers.ts';
import type { Redis } from 'ioredis';
import { readBulkBacklogs, type Work } from './bulk-backlog.ts';
import type { WorkersView } from './workers-view.ts';

/** What whoever scales the workers of a model has to know. */
export interface Scaling {
  /** How long one worker needs for all of it; above 0 whenever there is anything. */
  drainSeconds: number;
  /** Rows that wait or run, of jobs and of batches. */
  backlogRows: number;
  backlogTokens: number;
  /** Those of them that workers hold. */
  inFlightRows: number;
  /** Ready ones. */
  workers: number;
}

export type ReadScaling = (model: ServedModel) => Promise<Scaling>;

interface ScalingDeps {
  redis: Redis;
  keys: Keyspace;
  store: JobStore;
  workers: WorkersView;
  /** Of one worker, until one has said its own speed. */
  defaultTokensPerS: number;
}

/** The least that is said of anything at all: KEDA cuts a metric to thousandths. */
const LEAST_DRAIN_S = 0.1;

/**
 * Weighs what waits and runs for a model by the speed of one worker: the number of workers that are
 * wanted is this over the time in which it shall be done, whoever asks and however many there are.
 * What is read is read anew each time, so that Redis's absence is told and not hidden.
 */
export function createReadScaling(deps: ScalingDeps): ReadScaling {
  const { redis, keys, store, workers, defaultTokensPerS } = deps;

  return async (model) => {
    const [jobs, bulk, remembered] = await Promise.all([
      store.backlog(model.queue),
      readBulkBacklogs(deps, [model]),
      lastSpeed(redis, keys, model.ref),
    ]);
    const speed = workers.workerTokensPerSecond(model.ref) ?? remembered ?? defaultTokensPerS;
    const parts = [jobWork(jobs), ...bulk];
    const sum = (of: keyof Work) => parts.reduce((total, work) => total + work[of], 0);
    const [rows, tokens] = [sum('rows'), sum('tokens')];
    return {
      drainSeconds:
        rows === 0 ? 0 : Math.max(LEAST_DRAIN_S, Math.round((tokens / speed) * 10) / 10),
      backlogRows: rows,
      backlogTokens: tokens,
      inFlightRows: sum('inFlightRows'),
      workers: workers.readyWorkers(model.ref),
    };
  };
}

function jobWork({ jobs, rows, tokens }: Backlog): Work {
  const held = jobs.queued + jobs.delayed + jobs.running;
  return { rows, tokens, inFlightRows: held === 0 ? 0 : Math.ceil((jobs.running * rows) / held) };
}
