import { createHistory } from './history.ts';
import { forTenants, type OverviewSample } from './sample.ts';
import { createSampler, type SamplerDeps } from './sampler.ts';

/** Who sees what: all of it, or what is nobody's secret. */
export type Sight = 'all' | 'models';

/** `now`: of the last seconds. `point`: of one step of the history, once it is over. */
export type OverviewEvent = 'now' | 'point';
type Watcher = (event: OverviewEvent, sample: OverviewSample) => void;

/** What all of Headrace is doing, for those who look. */
export interface Overview {
  /** The steps of the last quarter of an hour, oldest first, and the last seconds. */
  read(sight: Sight): Promise<{ history: OverviewSample[]; now: OverviewSample }>;
  /** Calls back about once a second. @returns how to end it */
  watch(sight: Sight, watcher: Watcher): () => void;
  /** Calls back when the process stops, at once if it does. @returns how to take that back */
  onStop(callback: () => void): () => void;
  /** Ends all watching. */
  stop(): Promise<void>;
  /** Looks once a second while somebody watches, else once in a step. */
  tick(): Promise<void>;
}

interface OverviewDeps extends SamplerDeps {
  now?: () => number;
}

/** Length of a step of the history. */
export const STEP_S = 5;
const STEP_MS = STEP_S * 1000;
/** Of what is said each second: short enough to be of this moment, long enough not to jump. */
const NOW_MS = 2_000;
/** Who reads while nobody watches is given nothing older. */
const FRESH_MS = 1_000;

export function createOverview(deps: OverviewDeps): Overview {
  const { now = Date.now } = deps;
  const sampler = createSampler(deps, STEP_MS);
  const history = createHistory({ ...deps, stepS: STEP_S });
  const watchers = new Map<Watcher, Sight>();
  const stops = new Set<() => void>();
  let stopped = false;
  let looking: Promise<OverviewSample> | null = null;
  let current: OverviewSample | null = null;
  let lastStep: number | null = null;

  function tell(event: OverviewEvent, sample: OverviewSample): void {
    for (const [watcher, sight] of [...watchers]) watcher(event, seenWith(sight, sample));
  }

  /** Whoever wants to look while another looks shares what is seen. */
  function look(nowMs: number): Promise<OverviewSample> {
    looking ??= sampler
      .look(nowMs)
      .then(() => {
        current = sampler.sample(NOW_MS);
        tell('now', current);
        return current;
      })
      .finally(() => {
        looking = null;
      });
    return looking;
  }

  return {
    async read(sight) {
      const nowMs = now();
      const known = current !== null && nowMs - current.at * 1000 < FRESH_MS ? current : null;
      const [steps, sample] = await Promise.all([history.read(nowMs), known ?? look(nowMs)]);
      return {
        history: steps.map((step) => seenWith(sight, step)),
        now: seenWith(sight, sample),
      };
    },
    watch(sight, watcher) {
      watchers.set(watcher, sight);
      if (current !== null) watcher('now', seenWith(sight, current));
      return () => void watchers.delete(watcher);
    },
    onStop(callback) {
      stops.add(callback);
      if (stopped) queueMicrotask(callback);
      return () => void stops.delete(callback);
    },
    async stop() {
      stopped = true;
      for (const callback of [...stops]) callback();
      // Else it would say again what is taken back.
      await looking?.catch(() => undefined);
      if (deps.redis.status === 'ready') await sampler.forget().catch(() => undefined);
    },
    async tick() {
      const nowMs = now();
      const step = Math.floor(nowMs / STEP_MS);
      if (stopped || (watchers.size === 0 && step === lastStep)) return;
      await look(nowMs);
      const isFirst = lastStep === null;
      if (step === lastStep) return;
      lastStep = step;
      // What was done before the first look is not known.
      if (isFirst) return;
      // Steps begin at the same times in all processes.
      const point = { ...sampler.sample(STEP_MS), at: step * STEP_S };
      tell('point', point);
      await history.add(point);
    },
  };
}

function seenWith(sight: Sight, sample: OverviewSample): OverviewSample {
  return sight === 'all' ? sample : forTenants(sample);
}
