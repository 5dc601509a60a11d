import type { Keyspace } from '@headrace/shared/queues.ts';
import { liveWorkers, type WorkerReport } from '@headrace/shared/workers.ts';
import type { Redis } from 'ioredis';

/** What the API knows of the workers, at most a few seconds old. */
export interface WorkersView {
  readyWorkers(model: string): number;
  /** Tokens a second that all ready workers of a model do together; 0 when unknown. */
  tokensPerSecond(model: string): number;
  /** What each of them said last. */
  reports(): readonly WorkerReport[];
  /** Of one of them, by their mean; null when none has a speed yet. */
  workerTokensPerSecond(model: string): number | null;
  /** Reads the workers' reports anew. */
  tick(): Promise<void>;
}

export function createWorkersView(redis: Redis, keys: Keyspace): WorkersView {
  let reports: WorkerReport[] = [];
  const ready = (model: string) =>
    reports.flatMap((r) => r.models.filter((m) => m.model === model && m.ready));
  return {
    readyWorkers: (model) => ready(model).length,
    tokensPerSecond: (model) => ready(model).reduce((sum, m) => sum + (m.tokens_per_s ?? 0), 0),
    reports: () => reports,
    workerTokensPerSecond(model) {
      const speeds = ready(model).flatMap((m) => m.tokens_per_s ?? []);
      const sum = speeds.reduce((total, speed) => total + speed, 0);
      return sum > 0 ? sum / speeds.length : null;
    },
    async tick() {
      reports = await liveWorkers(redis, keys, Date.now());
    },
  };
}
