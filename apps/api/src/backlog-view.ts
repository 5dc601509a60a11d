import { AppError } from '@headrace/shared/errors.ts';
import { type Backlog, type JobStore, unwrapPipeline } from '@headrace/shared/job-store.ts';
import type { ModelCatalogue, ServedModel } from '@headrace/shared/model-catalogue.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import type { Redis } from 'ioredis';
import type { WorkersView } from './workers-view.ts';

/** What waits for each model, about a second old. */
export interface BacklogView {
  /** Of the interactive jobs of a model, or of its chunks; rows and tokens of these are not known. */
  of(queue: string): Backlog;
  /** Age of the job that is next in a queue, in seconds; 0 when nothing waits. */
  oldestAgeS(queue: string): number;
  /** How long all ready workers need for what waits; null when their speed is unknown. */
  drainSeconds(model: ServedModel): number | null;
  /** Counts `rows` in. @throws AppError `overloaded` with a Retry-After */
  admit(model: ServedModel, rows: number): void;
  /** Reads all backlogs anew. */
  tick(): Promise<void>;
}

interface BacklogViewDeps {
  redis: Redis;
  keys: Keyspace;
  store: JobStore;
  models: ModelCatalogue;
  workers: WorkersView;
  maxRows: number;
  now?: () => number;
}

const EMPTY: Backlog = { jobs: { queued: 0, delayed: 0, running: 0 }, rows: 0, tokens: 0 };
const RETRY_AFTER_UNKNOWN_S = 30;
const MAX_RETRY_AFTER_S = 300;

export function createBacklogView(deps: BacklogViewDeps): BacklogView {
  const now = deps.now ?? Date.now;
  let backlogs = new Map<string, Backlog>();
  let ages = new Map<string, number>();
  /** Rows admitted since the last tick. */
  let fresh = new Map<string, number>();

  const of = (queue: string) => backlogs.get(queue) ?? EMPTY;
  const drainSeconds = (model: ServedModel) => {
    const speed = deps.workers.tokensPerSecond(model.ref);
    return speed > 0 ? of(model.queue).tokens / speed : null;
  };

  return {
    of,
    oldestAgeS: (queue) => ages.get(queue) ?? 0,
    drainSeconds,
    admit(model, rows) {
      const added = (fresh.get(model.queue) ?? 0) + rows;
      if (of(model.queue).rows + added > deps.maxRows) {
        throw new AppError('overloaded', { retryAfterS: retryAfterS(drainSeconds(model)) });
      }
      fresh.set(model.queue, added);
    },
    async tick() {
      const { queues, all } = deps.models;
      const everyQueue = [...queues, ...all.map(({ bulkQueue }) => bulkQueue)];
      const counted = fresh;
      fresh = new Map();
      try {
        const [read, oldest] = await Promise.all([
          Promise.all(everyQueue.map((queue) => deps.store.backlog(queue))),
          oldestAges(deps, now()),
        ]);
        backlogs = new Map(everyQueue.map((queue, i) => [queue, read[i] ?? EMPTY]));
        ages = new Map(queues.map((queue, i) => [queue, oldest[i] ?? 0]));
      } catch (error) {
        // Nothing was learnt: what was counted before still waits, as far as anybody knows.
        for (const [queue, rows] of counted) fresh.set(queue, (fresh.get(queue) ?? 0) + rows);
        throw error;
      }
    },
  };
}

/** The time in which a tenth of the backlog drains: then there is room again. */
function retryAfterS(drainS: number | null): number {
  if (drainS === null) return RETRY_AFTER_UNKNOWN_S;
  return Math.min(MAX_RETRY_AFTER_S, Math.max(1, Math.ceil(drainS / 10)));
}

/** Age in seconds of the first job in the order of each queue. */
async function oldestAges({ redis, keys, models }: BacklogViewDeps, nowMs: number) {
  const heads = redis.pipeline();
  for (const queue of models.queues) heads.zrange(keys.bull(queue, 'prioritized'), '0', '0');
  const ids = unwrapPipeline(await heads.exec()).map((ids) => (Array.isArray(ids) ? ids[0] : null));
  const stamps = redis.pipeline();
  for (const [i, queue] of models.queues.entries()) {
    stamps.hget(keys.bull(queue, String(ids[i] ?? 'none')), 'timestamp');
  }
  return unwrapPipeline(await stamps.exec()).map((stamp) =>
    stamp === null ? 0 : Math.max(0, nowMs - Number(stamp)) / 1000,
  );
}
