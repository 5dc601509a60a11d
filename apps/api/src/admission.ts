import { AppError } from '@headrace/shared/errors.ts';
import { type MemoryUse, memoryRatio, memoryUse } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';

/**
 * A full Redis deadlocks BullMQ, so nothing is admitted from a share of `maxmemory` on. Bulk work,
 * which can wait, leaves the last of it to the jobs that somebody waits for.
 */
const ADMIT_BELOW = { job: 0.8, bulk: 0.7 };

/** Decides whether the queue takes anything more at the moment. */
export interface Admission {
  /** @throws AppError `redis_unavailable` or `storage_nearly_full`, both with a Retry-After */
  admit(work: keyof typeof ADMIT_BELOW): void;
  memoryRatio(): number;
  memory(): MemoryUse;
  /** Reads Redis's memory anew. */
  tick(): Promise<void>;
}

export function createAdmission(redis: Redis): Admission {
  let memory: MemoryUse = { usedBytes: 0, maxBytes: 0 };
  let ratio = 0;
  return {
    admit(work) {
      if (redis.status !== 'ready') throw new AppError('redis_unavailable', { retryAfterS: 1 });
      if (ratio >= ADMIT_BELOW[work]) throw new AppError('storage_nearly_full', { retryAfterS: 5 });
    },
    memoryRatio: () => ratio,
    memory: () => memory,
    async tick() {
      memory = await memoryUse(redis);
      ratio = memoryRatio(memory);
    },
  };
}
