import type { BatchState, BatchStatus, StoredBatch } from '@headrace/shared/bulk/batch.ts';
import { waitingFor } from '@headrace/shared/bulk/batch-failures.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { unwrapPipeline } from '@headrace/shared/job-store.ts';
import {
  ASSEMBLE_QUEUE,
  BULK,
  bulkQueueName,
  type Keyspace,
  PLAN_QUEUE,
} from '@headrace/shared/queues.ts';
import { redisFailure } from '@headrace/shared/redis.ts';
import { newerNeeded, PAYLOAD_VERSIONS } from '@headrace/shared/stored-payload.ts';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { BatchPlans } from '../batch-plans.ts';
import type { PlaceChunks } from '../chunk-places.ts';

export interface AdvanceDeps {
  batches: BatchStore;
  plans: BatchPlans;
  placeChunks: PlaceChunks;
  redis: Redis;
  keys: Keyspace;
  /** A queue by its name, opened when it is first asked for. */
  queue: (name: string) => Queue;
  /** Chunks of one batch that are in Redis at once. */
  window: number;
  now?: () => number;
}

export interface Advance {
  /** All live batches. */
  tick(): Promise<void>;
  /** One batch, which is known to have something to do. */
  step(id: string): Promise<void>;
}

/**
 * Takes every live batch one step on: has it planned, keeps its window of chunks full, has it
 * assembled. Whatever it does may be done twice, by two dispatchers or by one that was killed.
 */
export function createAdvance(deps: AdvanceDeps): Advance {
  const now = deps.now ?? Date.now;
  /** Chunks below it are done; only grows, so what is lost with the process is looked up again. */
  const doneBelow = new Map<string, number>();
  /** Batches of newer versions. */
  const left = new Set<string>();

  async function advance(batch: StoredBatch): Promise<void> {
    const { definition, state } = batch;
    const { id } = definition;
    if (definition.v > PAYLOAD_VERSIONS.batch) return leaveToNewer(batch);
    const open = state.status === 'validating' || state.status === 'in_progress';
    if (open && now() >= definition.expires_ms) {
      await withdraw(deps, batch);
      return finalize(deps, id, 'expired');
    }
    switch (state.status) {
      case 'validating':
        return addBatchJob(deps.queue(PLAN_QUEUE), id);
      case 'in_progress':
        if (state.done_chunks >= state.chunks) {
          await finalize(deps, id, 'completed');
          return addBatchJob(deps.queue(ASSEMBLE_QUEUE), id);
        }
        return state.paused === 1 ? withdraw(deps, batch) : fill(deps, batch, doneBelow);
      case 'cancelling':
        await withdraw(deps, batch);
        return finalize(deps, id, 'cancelled');
      case 'finalizing':
        return addBatchJob(deps.queue(ASSEMBLE_QUEUE), id);
      default:
        return;
    }
  }

  /** Said once: a newer dispatcher that takes it on says then what it waits for. */
  async function leaveToNewer({ definition: { id, v }, state }: StoredBatch): Promise<void> {
    if (left.has(id)) return;
    await deps.batches.wait(id, state.status, newerNeeded('batch', 'dispatcher', v));
    left.add(id);
  }

  /** One batch that cannot go on holds up no other, unless it is for want of Redis. */
  async function held(batch: StoredBatch, error: unknown, failures: unknown[]): Promise<void> {
    if (redisFailure(error)) throw error;
    failures.push(error);
    const reason = waitingFor(error);
    const { status } = batch.state;
    if (reason !== null) await deps.batches.wait(batch.definition.id, status, reason);
  }

  return {
    async step(id) {
      const batch = await deps.batches.read(id);
      if (batch !== null) await advance(batch);
    },
    async tick() {
      const live = await deps.batches.live();
      for (const known of [doneBelow, left]) {
        for (const id of known.keys()) if (!live.includes(id)) known.delete(id);
      }
      deps.plans.keepOnly(live);
      const failures: unknown[] = [];
      for (const id of live) {
        const batch = await deps.batches.read(id);
        if (batch === null) continue;
        await advance(batch).catch((error) => held(batch, error, failures));
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}

async function finalize(
  { batches, now = Date.now }: AdvanceDeps,
  id: string,
  outcome: BatchState['outcome'],
): Promise<void> {
  const from: BatchStatus[] = ['validating', 'in_progress', 'cancelling'];
  const fields = { outcome, finalizing_ms: now() };
  await batches.move(id, { from, to: 'finalizing', fields });
}

/** Hands out chunks until the window is full; also those that got lost on the way. */
async function fill(
  deps: AdvanceDeps,
  { definition: { id, tenant, priority, weight }, state }: StoredBatch,
  doneBelow: Map<string, number>,
): Promise<void> {
  const { batches, plans, placeChunks, queue, window } = deps;
  const plan = await plans.read(id);
  if (state.model === null) return;
  if (plan === null) return finalize(deps, id, 'failed');
  const known = doneBelow.get(id) ?? 0;
  // Fewer than we know of: Redis came back without its last second.
  const from = known <= state.done_chunks ? known : 0;
  const parts = await batches.parts(id, from, state.next_chunk);
  const open = parts.flatMap((part, i) => (part === null ? [from + i] : []));
  doneBelow.set(id, open[0] ?? state.next_chunk);
  const lost = await missing(deps, id, { model: state.model, indexes: open });
  const until = Math.min(plan.chunks, state.next_chunk + Math.max(0, window - open.length));
  const next = Array.from({ length: until - state.next_chunk }, (_, i) => state.next_chunk + i);
  const payloads = [...lost, ...next].map((index) => plan.payload(id, index));
  if (payloads.length > 0) {
    const flow = { model: state.model, tenant, priority, weight };
    const places = await placeChunks(
      flow,
      payloads.map(({ rows }) => rows),
    );
    const jobs = payloads.map((data, i) => ({
      ...{ name: 'chunk', data },
      opts: chunkOptions(chunkJobId(id, data.index), places[i] ?? 1),
    }));
    await queue(bulkQueueName(state.model)).addBulk(jobs);
  }
  if (until > state.next_chunk) await batches.set(id, { next_chunk: until });
}

/** Takes back the chunks that no worker has begun. */
async function withdraw(deps: AdvanceDeps, { definition, state }: StoredBatch): Promise<void> {
  const { batches, queue, window } = deps;
  if (state.model === null) return;
  const from = Math.max(0, state.next_chunk - 4 * window);
  const parts = await batches.parts(definition.id, from, state.next_chunk);
  const open = parts.flatMap((part, i) => (part === null ? [from + i] : []));
  const chunks = queue(bulkQueueName(state.model));
  await Promise.all(open.map((index) => chunks.remove(chunkJobId(definition.id, index))));
}

interface Chunks {
  model: string;
  indexes: number[];
}

/** Of chunks that are not done, those that no queue holds (any more). */
async function missing(deps: AdvanceDeps, id: string, { model, indexes }: Chunks) {
  if (indexes.length === 0) return [];
  const pipeline = deps.redis.pipeline();
  for (const index of indexes) {
    pipeline.exists(deps.keys.bull(bulkQueueName(model), chunkJobId(id, index)));
  }
  const found = unwrapPipeline(await pipeline.exec());
  const gone = indexes.filter((_, i) => found[i] === 0);
  // A part is recorded before its job goes: a chunk may have been done since `indexes` were read.
  const parts = await Promise.all(gone.map((i) => deps.batches.parts(id, i, i + 1)));
  return gone.filter((_, i) => parts[i]?.[0] === null);
}

function chunkJobId(batch: string, index: number): string {
  return `${batch}-${index}`;
}

function chunkOptions(jobId: string, priority: number) {
  return { jobId, priority, attempts: BULK.attempts, backoff: BULK.backoffMs };
}

/** It is tried until it succeeds, so that what it leaves behind is cleaned up, too. */
const BATCH_JOB_ATTEMPTS = 1_000_000;

async function addBatchJob(queue: Queue, batch: string): Promise<void> {
  const options = { jobId: batch, attempts: BATCH_JOB_ATTEMPTS, backoff: BULK.backoffMs };
  await queue.add(queue.name, { batch }, options);
}
