import type { Redis } from 'ioredis';
import { callParts } from './call-parts.ts';
import { costOf, MAX_PRIORITY, ROWS_A_PRIORITY } from './fair-order.ts';
import { INTERACTIVE, type JobPayload, type Keyspace } from './queues.ts';
import { defineScript } from './redis.ts';
import { createTick } from './tick.ts';

interface NewJob {
  id: string;
  queue: string;
  payload: JobPayload;
}

interface Enqueued extends NewJob {
  flow: string;
  /** The payload. */
  json: string;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** What BullMQ keeps of a job's options; the script fills in the priority. */
const JOB_OPTIONS = JSON.stringify({
  attempts: INTERACTIVE.attempts,
  backoff: { type: 'fixed', delay: INTERACTIVE.backoffMs },
}).replace(/}$/, ',"priority":%d}');

/**
 * Puts jobs into their queues, each at its place in the order of work and into its tenant's list.
 * Jobs of one turn and flow share one command, and each is stored whole or not at all.
 */
export function createEnqueue(redis: Redis, keys: Keyspace): (job: NewJob) => Promise<void> {
  const run = defineScript(redis, 'enqueue-jobs');

  const flush = createTick<Enqueued>((jobs) => {
    for (const group of Map.groupBy(jobs, ({ queue, flow }) => `${queue}\n${flow}`).values()) {
      for (const part of callParts(group)) void enqueue(part);
    }
  });

  async function enqueue(jobs: Enqueued[]): Promise<void> {
    const [first] = jobs;
    if (!first) return;
    const bull = (suffix: string) => keys.bull(first.queue, suffix);
    const args: (string | number)[] = [
      9,
      keys.order(first.queue),
      ...['wait', 'prioritized', 'active', 'delayed'].map(bull),
      keys.index(first.payload.tenant),
      ...['marker', 'events', 'pc', ''].map(bull),
      ...[first.flow, JOB_OPTIONS, ROWS_A_PRIORITY, MAX_PRIORITY, INTERACTIVE.maxEvents],
    ];
    for (const { id, json, payload } of jobs) {
      const { rows, priority, tokens, created_ms } = payload;
      args.push(id, json, created_ms, costOf(rows.length, priority).toFixed(6));
      args.push(rows.length, tokens);
    }
    try {
      await run(args);
      for (const job of jobs) job.resolve();
    } catch (error) {
      for (const job of jobs) job.reject(error);
    }
  }

  return (job) =>
    new Promise((resolve, reject) => {
      const flow = `${job.payload.tenant}:${job.payload.priority}`;
      flush({ ...job, flow, json: JSON.stringify(job.payload), resolve, reject });
    });
}
