import type { Redis } from 'ioredis';
import { z } from 'zod';
import { callParts } from './call-parts.ts';
import { costOf, MAX_PRIORITY, ROWS_A_PRIORITY } from './fair-order.ts';
import { ONCE_TTL_MS, type OnceKeep } from './once.ts';
import { INTERACTIVE, type JobPayload, type Keyspace } from './queues.ts';
import { defineScript } from './redis.ts';
import { createTick } from './tick.ts';

/** What holds for the caller of a job. */
export interface CallerTerms {
  /** Whose rate it is; one API key. */
  keyId: string;
  /** null: no limit, which costs nothing. */
  rate: { rowsPerS: number; burstRows: number } | null;
  /** Rows of the tenant that wait or run in the queue; null: no limit. */
  maxRows: number | null;
  /** The tenant's share of the work, against 1 of others. */
  weight: number;
}

export interface NewJob {
  id: string;
  queue: string;
  payload: JobPayload;
  terms?: CallerTerms;
  /** Of the caller's Idempotency-Key. */
  once?: OnceKeep;
}

/** What became of a job: only `added` and `there` are in the queue. */
export type EnqueueOutcome =
  | { kind: 'added' | 'there' }
  /** Nothing was added: what was kept with the job that came first under the Idempotency-Key. */
  | { kind: 'stored-before'; kept: string }
  /** The tenant has so many rows already. */
  | { kind: 'too-many-rows'; held: number }
  | { kind: 'too-fast'; retryMs: number };

interface Enqueued extends NewJob {
  group: string;
  /** The payload. */
  json: string;
  resolve: (outcome: EnqueueOutcome) => void;
  reject: (error: unknown) => void;
}

/** What BullMQ keeps of a job's options; the script fills in the priority. */
const JOB_OPTIONS = JSON.stringify({
  attempts: INTERACTIVE.attempts,
  backoff: { type: 'fixed', delay: INTERACTIVE.backoffMs },
}).replace(/}$/, ',"priority":%d}');

const Replies = z.array(z.string());

export type Enqueue = (job: NewJob) => Promise<EnqueueOutcome>;

/**
 * Puts jobs into their queues, each at its place in the order of work and into its tenant's list.
 * Jobs of one turn and flow share one command, and each is stored whole or not at all.
 */
export function createEnqueue(redis: Redis, keys: Keyspace): Enqueue {
  const run = defineScript(redis, 'enqueue-jobs');

  const flush = createTick<Enqueued>((jobs) => {
    for (const group of Map.groupBy(jobs, ({ group }) => group).values()) {
      for (const part of callParts(group)) void enqueue(part);
    }
  });

  async function enqueue(jobs: Enqueued[]): Promise<void> {
    const [first] = jobs;
    if (!first) return;
    const args = [...headOf(first), ...jobs.flatMap(fieldsOf)];
    try {
      const replies = Replies.parse(await run(args));
      for (const [i, job] of jobs.entries()) job.resolve(parseOutcome(replies[i] ?? ''));
    } catch (error) {
      for (const job of jobs) job.reject(error);
    }
  }

  /** What the jobs of a command share. */
  function headOf({ queue, payload, terms, once }: Enqueued): (string | number)[] {
    const bull = (suffix: string) => keys.bull(queue, suffix);
    const order = keys.order(queue);
    const rate = terms?.rate ?? null;
    return [
      10,
      order,
      ...['wait', 'prioritized', 'active', 'delayed'].map(bull),
      keys.index(payload.tenant),
      ...['marker', 'events'].map(bull),
      ...[rate === null ? order : keys.rate(terms?.keyId ?? ''), once?.key ?? order],
      ...[bull(''), payload.tenant, payload.priority, JOB_OPTIONS],
      ...[ROWS_A_PRIORITY, MAX_PRIORITY, INTERACTIVE.maxEvents, terms?.maxRows ?? ''],
      ...(rate === null ? ['', ''] : [1e6 / rate.rowsPerS, rate.burstRows]),
      ...[once?.keep ?? '', ONCE_TTL_MS],
    ];
  }

  return (job) =>
    new Promise((resolve, reject) => {
      flush({ ...job, group: groupOf(job), json: JSON.stringify(job.payload), resolve, reject });
    });
}

/** Jobs of a command are of one flow and one caller; one with an Idempotency-Key goes alone. */
function groupOf({ queue, payload, terms, once }: NewJob): string {
  const flow = `${queue}\n${payload.tenant}:${payload.priority}`;
  return `${flow}\n${terms?.keyId ?? ''}\n${terms?.maxRows ?? ''}\n${once?.key ?? ''}`;
}

function fieldsOf({ id, json, payload, terms }: Enqueued): (string | number)[] {
  const { rows, priority, tokens, created_ms } = payload;
  const cost = costOf(rows.length, priority, terms?.weight).toFixed(6);
  return [id, json, created_ms, cost, rows.length, tokens];
}

function parseOutcome(reply: string): EnqueueOutcome {
  const rest = reply.slice(1);
  switch (reply.charAt(0)) {
    case 'i':
      return { kind: 'stored-before', kept: rest };
    case 't':
      return { kind: 'too-many-rows', held: Number(rest) };
    case 'r':
      return { kind: 'too-fast', retryMs: Number(rest) };
    default:
      return { kind: reply === '=' ? 'there' : 'added' };
  }
}
