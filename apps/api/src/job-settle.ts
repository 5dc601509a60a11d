import { errorBody } from '@headrace/shared/errors.ts';
import { costOf } from '@headrace/shared/fair-order.ts';
import type { LiveJob } from '@headrace/shared/job-store.ts';
import { finishedRecord, type JobRecord } from '@headrace/shared/jobs.ts';
import { defineScript, redisFailure } from '@headrace/shared/redis.ts';
import { rowCount } from '@headrace/shared/stored-payload.ts';
import type { JobsDeps } from './jobs.ts';

/** Gives a live job a terminal state from outside. @returns the record that stands */
export type Settle = (
  id: string,
  live: LiveJob,
  status: 'canceled' | 'expired',
) => Promise<JobRecord>;

export function createSettle(deps: JobsDeps): Settle {
  const now = deps.now ?? Date.now;
  const refundFlow = defineScript(deps.redis, 'refund-flow');

  // The record decides: whoever writes first wins. Taking the job out of the queue afterwards only
  // saves work.
  async function settle(
    id: string,
    live: LiveJob,
    status: 'canceled' | 'expired',
  ): Promise<JobRecord> {
    const { payload } = live;
    const record = finishedRecord(id, payload, {
      status,
      task: deps.models.resolve(payload.model).task.name,
      nowMs: now(),
      resultTtlMs: deps.resultTtlMs,
      attempts: live.attempts,
      startedMs: live.startedMs,
      error: errorBody(status),
    });
    const won = await deps.store.finish({
      id,
      queue: live.queue,
      record,
      ttlMs: deps.resultTtlMs,
      rows: rowCount(payload),
      tokens: payload.tokens,
      startTime: null,
      webhook: payload.webhook,
      trace: payload.traceparent,
    });
    if (!won) return (await deps.store.read(id)) ?? record;
    deps.metrics.counters.jobs_finished.inc({ model: payload.model, status, code: status });
    await takeOutOfQueue(id, live);
    return record;
  }

  async function takeOutOfQueue(id: string, live: LiveJob): Promise<void> {
    try {
      const removed = (await deps.queues.get(live.queue)?.remove(id)) ?? 0;
      // A worker holds it: it is told, and its result would be refused anyway.
      if (removed === 0) await deps.redis.publish(deps.keys.cancelChannel, id);
      else if (live.startedMs === null) await refund(live);
    } catch (error) {
      // The record stands. A worker that fetches the job finds it and drops the job.
      if (!redisFailure(error)) throw error;
    }
  }

  /** Else whoever cancels a flood would wait as long as it would have taken. */
  async function refund({ queue, payload }: LiveJob): Promise<void> {
    const { tenant, priority, weight } = payload;
    const cost = costOf(rowCount(payload), priority, weight);
    await refundFlow([1, deps.keys.order(queue), `${tenant}:${priority}`, cost]);
  }

  return settle;
}
