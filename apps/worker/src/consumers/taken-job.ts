import { scoreOf } from '@headrace/shared/fair-order.ts';
import type { Job } from 'bullmq';
import { z } from 'zod';
import type { JobTrace } from './job-trace.ts';

/** A job out of its queue, locked; BullMQ's hash of it is read as far as we need it. */
export interface TakenJob {
  id: string;
  /** The payload as JSON. */
  data: string;
  lockToken: string;
  /** Its place in the queue: BullMQ's priority, and where in that. */
  score: number;
  startedMs: number;
  /** How often it was taken, this time included. */
  starts: number;
  /** Tries that failed. */
  attempts: number;
  /** How often the lock of a worker that held it ran out. */
  stalls: number;
  /** Its spans in this worker, while tracing is on. */
  trace?: JobTrace;
}

const FIELDS = 6;
const Reply = z.tuple([z.number(), z.number()]).rest(z.union([z.string(), z.number()]));

export interface Taken {
  jobs: TakenJob[];
  /** There is work that only BullMQ's own command takes: stalled, delayed or limited. */
  leftToBullMQ: boolean;
  /** When the first delayed job is due; 0 when there is none. */
  nextDueMs: number;
}

/** Reads the reply of `take-jobs.lua`. */
export function parseTaken(reply: unknown, lockToken: string, startedMs: number): Taken {
  const [leftToBullMQ, nextDueMs, ...fields] = Reply.parse(reply);
  const jobs: TakenJob[] = [];
  for (let at = 0; at < fields.length; at += FIELDS) {
    const [id, data, score, starts, attempts, stalls] = fields.slice(at, at + FIELDS);
    jobs.push({
      ...{ id: String(id), data: String(data), lockToken, startedMs },
      ...{ score: Number(score), starts: Number(starts) },
      ...{ attempts: Number(attempts), stalls: Number(stalls) },
    });
  }
  return { jobs, leftToBullMQ: leftToBullMQ === 1, nextDueMs };
}

/** A job that BullMQ's own command took. */
export function fromBullMQ(job: Job, lockToken: string): TakenJob {
  return {
    id: job.id ?? '',
    data: JSON.stringify(job.data),
    lockToken,
    score: scoreOf(job.priority),
    startedMs: job.processedOn ?? Date.now(),
    starts: job.attemptsStarted,
    attempts: job.attemptsMade,
    stalls: job.stalledCounter,
  };
}
