import { randomUUID } from 'node:crypto';
import type { Metrics } from '@headrace/shared/metrics.ts';
import type { ModelCatalogue, ServedModel } from '@headrace/shared/model-catalogue.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import type { Redis } from 'ioredis';
import type { Admission } from '../admission.ts';
import type { BacklogView } from '../backlog-view.ts';
import { readBulkBacklogs, type Work } from '../bulk-backlog.ts';
import type { WorkersView } from '../workers-view.ts';
import { ActivityWindow, type RecentActivity } from './activity-window.ts';
import { createErrorCounts, ErrorWindow } from './error-counts.ts';
import { measured, type OverviewSample, rounded } from './sample.ts';

export interface SamplerDeps {
  redis: Redis;
  keys: Keyspace;
  models: ModelCatalogue;
  workers: WorkersView;
  backlogs: BacklogView;
  admission: Admission;
  metrics: Metrics;
}

/** Knows what workers and API processes have said since they were looked at. */
export interface Sampler {
  /** Reads anew what they say. */
  look(nowMs: number): Promise<void>;
  /** What all of Headrace did in the time before the last look. */
  sample(windowMs: number): OverviewSample;
  /** Takes back what this process has said of itself. */
  forget(): Promise<unknown>;
}

/** @param longestMs the longest time that will be asked for */
export function createSampler(deps: SamplerDeps, longestMs: number): Sampler {
  const { models, workers, admission } = deps;
  const activity = new ActivityWindow(longestMs);
  const errors = new ErrorWindow(longestMs);
  const errorCounts = createErrorCounts({ ...deps, id: randomUUID() });
  let bulk: Work[] = [];
  let atMs = 0;

  return {
    async look(nowMs) {
      const [counts, left] = await Promise.all([
        errorCounts.read(nowMs),
        readBulkBacklogs(deps, models.all),
        workers.tick(),
      ]);
      activity.note(workers.reports(), nowMs);
      errors.note(counts, nowMs);
      bulk = left;
      atMs = nowMs;
    },

    sample(windowMs) {
      const recent = models.all.map((model, i) => ({
        ...{ model, left: bulk[i] },
        did: activity.over(model.ref, { windowMs, nowMs: atMs }),
      }));
      const { usedBytes, maxBytes } = admission.memory();
      return {
        at: atMs / 1000,
        models: recent.map(({ model, left, did }) => ({
          ...waiting(deps, model, left),
          ...measured(did),
        })),
        redis: { used_bytes: usedBytes, max_bytes: maxBytes || null },
        errors: [
          ...listed(failedJobs(recent.map(({ did }) => did)), 'job'),
          ...listed(errors.over(windowMs), 'request'),
        ],
      };
    },

    forget: () => errorCounts.forget(),
  };
}

function waiting({ workers, backlogs }: SamplerDeps, model: ServedModel, bulk?: Work) {
  const { rows, tokens } = backlogs.of(model.queue);
  const { jobs: chunks } = backlogs.of(model.bulkQueue);
  const drainS = backlogs.drainSeconds(model);
  const left = { rows: bulk?.rows ?? 0, tokens: bulk?.tokens ?? 0 };
  const speed = workers.tokensPerSecond(model.ref);
  return {
    model: model.ref,
    workers: workers.readyWorkers(model.ref),
    backlog: {
      ...{ rows, tokens, chunks: chunks.queued + chunks.delayed + chunks.running },
      drain_s: drainS === null ? null : rounded(drainS, 1),
      oldest_s: rounded(backlogs.oldestAgeS(model.queue), 1),
    },
    bulk: { ...left, drain_s: speed > 0 ? rounded(left.tokens / speed, 1) : null },
  };
}

function failedJobs(recent: RecentActivity[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { errors } of recent) {
    for (const [code, count] of errors) sums.set(code, (sums.get(code) ?? 0) + count);
  }
  return sums;
}

function listed(counts: Map<string, number>, of: 'job' | 'request') {
  return [...counts].map(([code, count]) => ({ code, of, count }));
}
