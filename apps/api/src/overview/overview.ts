import { randomUUID } from 'node:crypto';
import type { Metrics } from '@headrace/shared/metrics.ts';
import type { ModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import type { Redis } from 'ioredis';
import type { Admission } from '../admission.ts';
import type { BacklogView } from '../backlog-view.ts';
import type { WorkersView } from '../workers-view.ts';
import { ActivityWindow } from './activity-window.ts';
import { createErrorCounts, ErrorWindow } from './error-counts.ts';
import { createHistory } from './history.ts';
import { forTenants, measured, type OverviewSample, rounded } from './sample.ts';

/** Who sees what: all of it, or what is nobody's secret. */
export type Sight = 'all' | 'models';

/** `now`: of the last seconds. `point`: of one step of the history, once it is over. */
export type OverviewEvent = 'now' | 'point';
type Watcher = (event: OverviewEvent, sample: OverviewSample) => void;

/** What all of Headrace is doing, for those who look. */
export interface Overview {
  /** The steps of the last quarter of an hour, oldest first, and the last seconds. */
  read(sight: Sight): Promise<{ history: OverviewSample[]; now: OverviewSample | null }>;
  /** Calls back about once a second. @returns how to end it */
  watch(sight: Sight, watcher: Watcher): () => void;
  /** Ends all watching: the process stops. */
  stop(): Promise<void>;
  onStop(callback: () => void): () => void;
  /** Looks once a second while somebody watches, else once in a step. */
  tick(): Promise<void>;
}

interface OverviewDeps {
  redis: Redis;
  keys: Keyspace;
  models: ModelCatalogue;
  workers: WorkersView;
  backlogs: BacklogView;
  admission: Admission;
  metrics: Metrics;
  now?: () => number;
}

/** Length of a step of the history. */
export const STEP_S = 5;
const STEP_MS = STEP_S * 1000;
/** Of what is said each second: short enough to be of this moment, long enough not to jump. */
const NOW_MS = 2_000;

export function createOverview(deps: OverviewDeps): Overview {
  const { workers, now = Date.now } = deps;
  const activity = new ActivityWindow(STEP_MS);
  const errors = new ErrorWindow(STEP_MS);
  const errorCounts = createErrorCounts({ ...deps, id: randomUUID() });
  const history = createHistory({ ...deps, stepS: STEP_S });
  const watchers = new Map<Watcher, Sight>();
  const stops = new Set<() => void>();
  let current: OverviewSample | null = null;
  let lastStep = stepOf(now());
  const seen = (sight: Sight, sample: OverviewSample) =>
    sight === 'all' ? sample : forTenants(sample);

  function tell(event: OverviewEvent, sample: OverviewSample): void {
    const views = { all: sample, models: forTenants(sample) };
    for (const [watcher, sight] of watchers) watcher(event, views[sight]);
  }

  async function look(nowMs: number): Promise<void> {
    const [counts] = await Promise.all([errorCounts.read(nowMs), workers.tick()]);
    activity.note(workers.reports(), nowMs);
    errors.note(counts, nowMs);
  }

  return {
    async read(sight) {
      const steps = await history.read(now());
      return {
        history: steps.map((sample) => seen(sight, sample)),
        now: current && seen(sight, current),
      };
    },
    watch(sight, watcher) {
      watchers.set(watcher, sight);
      if (current !== null) watcher('now', seen(sight, current));
      return () => void watchers.delete(watcher);
    },
    onStop(callback) {
      stops.add(callback);
      return () => void stops.delete(callback);
    },
    async stop() {
      for (const callback of [...stops]) callback();
      if (deps.redis.status === 'ready') await errorCounts.forget().catch(() => undefined);
    },
    async tick() {
      const nowMs = now();
      const step = stepOf(nowMs);
      if (watchers.size === 0 && step === lastStep) return;
      await look(nowMs);
      const sampled = { ...deps, activity, errors };
      current = sampleOf(sampled, { windowMs: NOW_MS, nowMs });
      tell('now', current);
      if (step === lastStep) return;
      lastStep = step;
      const point = { ...sampleOf(sampled, { windowMs: STEP_MS, nowMs }), at: step * STEP_S };
      tell('point', point);
      await history.add(point);
    },
  };
}

/** Steps are the same in all processes. */
function stepOf(nowMs: number): number {
  return Math.floor(nowMs / STEP_MS);
}

interface Sampled extends OverviewDeps {
  activity: ActivityWindow;
  errors: ErrorWindow;
}

function sampleOf(
  { models, workers, backlogs, admission, activity, errors }: Sampled,
  { windowMs, nowMs }: { windowMs: number; nowMs: number },
): OverviewSample {
  const failedJobs = new Map<string, number>();
  const { usedBytes, maxBytes } = admission.memory();
  const sampled = models.all.map((model) => {
    const { rows, tokens } = backlogs.of(model.queue);
    const { jobs: chunks } = backlogs.of(model.bulkQueue);
    const drainS = backlogs.drainSeconds(model);
    const recent = activity.over(model.ref, { windowMs, nowMs });
    for (const [code, count] of recent.errors) {
      failedJobs.set(code, (failedJobs.get(code) ?? 0) + count);
    }
    return {
      model: model.ref,
      workers: workers.readyWorkers(model.ref),
      backlog: {
        ...{ rows, tokens, chunks: chunks.queued + chunks.delayed + chunks.running },
        drain_s: drainS === null ? null : rounded(drainS, 1),
        oldest_s: rounded(backlogs.oldestAgeS(model.queue), 1),
      },
      ...measured(recent),
    };
  });
  return {
    at: nowMs / 1000,
    models: sampled,
    redis: { used_bytes: usedBytes, max_bytes: maxBytes || null },
    errors: [...listed(failedJobs, 'job'), ...listed(errors.over(windowMs), 'request')],
  };
}

function listed(counts: Map<string, number>, of: 'job' | 'request') {
  return [...counts].map(([code, count]) => ({ code, of, count }));
}
