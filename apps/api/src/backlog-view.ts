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
  /** Counts work in. @throws AppError `overloaded`; Retry-After says when there is room for it */
  admit(model: ServedModel, work: Work): Room;
  /** Reads all backlogs anew. */
  tick(): Promise<void>;
}

/** What a job adds to a backlog. */
export interface Work {
  tenant: string;
  rows: number;
  /** As estimated. */
  tokens: number;
}

/** The place in a backlog that a job was given. */
export interface Room {
  /** Most rows of its tenant, while the backlog is too long for others than small ones; else null. */
  maxRows: number | null;
  /** Counts the work out again. */
  takeBack(): void;
  /** Says that the tenant has more than that. @throws AppError `overloaded` */
  refuse(): never;
}

interface BacklogViewDeps {
  redis: Redis;
  keys: Keyspace;
  store: JobStore;
  models: ModelCatalogue;
  workers: WorkersView;
  maxRows: number;
  /** How long all ready workers of a model may need for what waits; null: no limit. */
  maxDrainS: number | null;
  now?: () => number;
}

const EMPTY: Backlog = { jobs: { queued: 0, delayed: 0, running: 0 }, rows: 0, tokens: 0 };
const RETRY_AFTER_UNKNOWN_S = 30;
const MAX_RETRY_AFTER_S = 300;
/**
 * Who has less of a backlog than this share of its bound may add to it however long it is: else one
 * tenant could keep all others out, whose jobs would be next in the order of work.
 */
const SMALL_SHARE = 0.01;
const LONG = 'The backlog is too long.';

export function createBacklogView(deps: BacklogViewDeps): BacklogView {
  const now = deps.now ?? Date.now;
  let backlogs = new Map<string, Backlog>();
  let ages = new Map<string, number>();
  /** Admitted since the last tick. */
  let fresh = new Map<string, Counted>();
  /** Tenants and queues of which the last tick has shown no small share: nobody needs to be asked. */
  let large = new Set<string>();

  const of = (queue: string) => backlogs.get(queue) ?? EMPTY;
  const drainSeconds = (model: ServedModel) => {
    const speed = deps.workers.tokensPerSecond(model.ref);
    return speed > 0 ? of(model.queue).tokens / speed : null;
  };

  return {
    of,
    oldestAgeS: (queue) => ages.get(queue) ?? 0,
    drainSeconds,
    admit(model, work) {
      const { queue, ref } = model;
      const added = sum(fresh.get(queue), work);
      const waiting = sum(of(queue), added);
      const speed = deps.workers.tokensPerSecond(ref);
      const drainS = speed > 0 ? waiting.tokens / speed : null;
      // One that nothing waits before is done as soon as it can be, however long it takes.
      const maxDrainS = waiting.rows > work.rows ? deps.maxDrainS : null;
      const excess = excessOf({ rows: waiting.rows, drainS }, { maxRows: deps.maxRows, maxDrainS });
      const flow = `${work.tenant} ${queue}`;
      const refuse = () => {
        large.add(flow);
        throw overloaded(excess, drainS);
      };
      const small = Math.round(SMALL_SHARE * waiting.rows * (1 - excess));
      if (excess > 0 && (work.rows > small || large.has(flow))) throw overloaded(excess, drainS);
      const counted = fresh;
      counted.set(queue, added);
      const takeBack = () => void counted.set(queue, less(counted.get(queue), work));
      return { maxRows: excess > 0 ? small : null, takeBack, refuse };
    },
    async tick() {
      const { queues, all } = deps.models;
      const everyQueue = [...queues, ...all.map(({ bulkQueue }) => bulkQueue)];
      const counted = fresh;
      fresh = new Map();
      large = new Set();
      try {
        const [read, oldest] = await Promise.all([
          Promise.all(everyQueue.map((queue) => deps.store.backlog(queue))),
          oldestAges(deps, now()),
        ]);
        backlogs = new Map(everyQueue.map((queue, i) => [queue, read[i] ?? EMPTY]));
        ages = new Map(queues.map((queue, i) => [queue, oldest[i] ?? 0]));
      } catch (error) {
        // Nothing was learnt: what was counted before still waits, as far as anybody knows.
        for (const [queue, work] of counted) fresh.set(queue, sum(fresh.get(queue), work));
        throw error;
      }
    },
  };
}

type Counted = Omit<Work, 'tenant'>;

function overloaded(excess: number, drainS: number | null): AppError {
  const message = drainS === null ? LONG : `${LONG} It needs ${Math.ceil(drainS)} s.`;
  const retryAfterS = drainS === null ? RETRY_AFTER_UNKNOWN_S : waitS(excess * drainS);
  return new AppError('overloaded', { message, retryAfterS });
}

function sum(work: Counted | undefined, more: Counted): Counted {
  return { rows: (work?.rows ?? 0) + more.rows, tokens: (work?.tokens ?? 0) + more.tokens };
}

function less(work: Counted | undefined, { rows, tokens }: Counted): Counted {
  return sum(work, { rows: -rows, tokens: -tokens });
}

/** By which share of itself a backlog is too long; 0 when it is not. */
function excessOf(
  { rows, drainS }: { rows: number; drainS: number | null },
  { maxRows, maxDrainS }: Pick<BacklogViewDeps, 'maxRows' | 'maxDrainS'>,
): number {
  const byRows = 1 - maxRows / rows;
  const byTime = drainS === null || maxDrainS === null ? 0 : 1 - maxDrainS / drainS;
  return Math.max(0, byRows, byTime);
}

function waitS(seconds: number): number {
  return Math.min(MAX_RETRY_AFTER_S, Math.max(1, Math.ceil(seconds)));
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
