import { type Backlog, type JobStore, unwrapPipeline } from '@headrace/shared/job-store.ts';
import type { ServedModel } from '@headrace/shared/model-catalogue.ts';
import { ChunkPayloadSchema, type Keyspace } from '@headrace/shared/queues.ts';
import { lastSpeed } from '@headrace/shared/workers.ts';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { WorkersView } from './workers-view.ts';

/** What whoever scales the workers of a model has to know. */
export interface Scaling {
  /** How long one worker needs for all of it; above 0 whenever there is anything. */
  drainSeconds: number;
  /** Rows that wait or run, of jobs and of batches. */
  backlogRows: number;
  backlogTokens: number;
  /** Those of them that workers hold. */
  inFlightRows: number;
  /** Ready ones. */
  workers: number;
}

export type ReadScaling = (model: ServedModel) => Promise<Scaling>;

interface ScalingDeps {
  redis: Redis;
  keys: Keyspace;
  store: JobStore;
  workers: WorkersView;
  /** Of one worker, until one has said its own speed. */
  defaultTokensPerS: number;
}

interface Work {
  rows: number;
  tokens: number;
  inFlightRows: number;
}

/** The least that is said of anything at all: KEDA cuts a metric to thousandths. */
const LEAST_DRAIN_S = 0.1;
/** Batches that are looked at, those that expire first; chunks are counted whatever their batch. */
const MOST_BATCHES = 1_000;
/** Chunks whose rows are looked at, to know what the others have. */
const SAMPLED_CHUNKS = 8;
const BYTES_A_TOKEN = 4;

/**
 * Weighs what waits and runs for a model by the speed of one worker: the number of workers that are
 * wanted is this over the time in which it shall be done, whoever asks and however many there are.
 * What is read is read anew each time, so that Redis's absence is told and not hidden.
 */
export function createReadScaling(deps: ScalingDeps): ReadScaling {
  const { redis, keys, store, workers, defaultTokensPerS } = deps;

  return async (model) => {
    const [jobs, chunks, batches, remembered] = await Promise.all([
      store.backlog(model.queue),
      readChunks(deps, model),
      readBatches(deps, model.ref),
      lastSpeed(redis, keys, model.ref),
    ]);
    const speed = workers.workerTokensPerSecond(model.ref) ?? remembered ?? defaultTokensPerS;
    const parts = [jobWork(jobs), bulkWork(chunks, batches)];
    const sum = (of: keyof Work) => parts.reduce((total, work) => total + work[of], 0);
    const [rows, tokens] = [sum('rows'), sum('tokens')];
    return {
      drainSeconds:
        rows === 0 ? 0 : Math.max(LEAST_DRAIN_S, Math.round((tokens / speed) * 10) / 10),
      backlogRows: rows,
      backlogTokens: tokens,
      inFlightRows: sum('inFlightRows'),
      workers: workers.readyWorkers(model.ref),
    };
  };
}

function jobWork({ jobs, rows, tokens }: Backlog): Work {
  const held = jobs.queued + jobs.delayed + jobs.running;
  return { rows, tokens, inFlightRows: held === 0 ? 0 : Math.ceil((jobs.running * rows) / held) };
}

/**
 * Chunks are what is in the queue, a window of each batch; the rest of a batch is known from its
 * counts. The larger one holds: a batch's last rows are in flight, a chunk's batch may be gone.
 */
function bulkWork(chunks: ChunkBacklog, batches: BatchBacklog): Work {
  const rows = Math.max(Math.ceil(chunks.count * chunks.rowsEach), batches.rows);
  const tokensEach = batches.tokensEach ?? chunks.tokensEach;
  return {
    rows,
    tokens: Math.ceil(rows * Math.max(1, tokensEach)),
    inFlightRows: Math.min(rows, Math.ceil(chunks.active * chunks.rowsEach)),
  };
}

interface ChunkBacklog {
  count: number;
  active: number;
  /** Means of a few chunks. */
  rowsEach: number;
  /** Of a row, by the bytes of its line. */
  tokensEach: number;
}

async function readChunks({ redis, keys }: ScalingDeps, model: ServedModel): Promise<ChunkBacklog> {
  const bull = (suffix: string) => keys.bull(model.bulkQueue, suffix);
  const replies = unwrapPipeline(
    await redis
      .pipeline()
      .zcard(bull('prioritized'))
      .llen(bull('wait'))
      .zcard(bull('delayed'))
      .llen(bull('active'))
      .zrange(bull('prioritized'), '0', String(SAMPLED_CHUNKS - 1))
      .lrange(bull('active'), 0, SAMPLED_CHUNKS - 1)
      .exec(),
  );
  const [prioritized = 0, wait = 0, delayed = 0, active = 0] = replies.slice(0, 4).map(Number);
  const ids = z.array(z.array(z.string())).parse(replies.slice(4)).flat();
  const data = redis.pipeline();
  for (const id of ids) data.hget(bull(id), 'data');
  const chunks = ids.length === 0 ? [] : unwrapPipeline(await data.exec()).flatMap(parseChunk);
  const rows = chunks.reduce((sum, chunk) => sum + chunk.rows, 0);
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.end_byte - chunk.start_byte, 0);
  const { max_tokens: maxTokens } = model.manifest;
  return {
    count: prioritized + wait + delayed + active,
    active,
    rowsEach: Math.max(1, rows / Math.max(1, chunks.length)),
    tokensEach: Math.min(maxTokens, bytes / BYTES_A_TOKEN / Math.max(1, rows)),
  };
}

/** One that cannot be read counts by the mean of the others. */
function parseChunk(data: unknown) {
  try {
    return [ChunkPayloadSchema.parse(JSON.parse(String(data)))];
  } catch {
    return [];
  }
}

interface BatchBacklog {
  rows: number;
  /** Of the rows that are done; null when none is. */
  tokensEach: number | null;
}

const FIELDS = ['status', 'model', 'paused', 'total', 'completed', 'failed', 'tokens'];

/** What is left of the batches of a model that are being worked on. */
async function readBatches({ redis, keys }: ScalingDeps, ref: string): Promise<BatchBacklog> {
  const ids = await redis.zrange(keys.liveBatches, '0', String(MOST_BATCHES - 1));
  if (ids.length === 0) return { rows: 0, tokensEach: null };
  const read = redis.pipeline();
  for (const id of ids) read.hmget(keys.batch(id), ...FIELDS);
  const found = z.array(z.array(z.string().nullable())).parse(unwrapPipeline(await read.exec()));
  let [left, done, tokens] = [0, 0, 0];
  for (const [status, model, paused, ...counts] of found) {
    if (status !== 'in_progress' || model !== ref || paused === '1') continue;
    const [total = 0, completed = 0, failed = 0, doneTokens = 0] = counts.map(Number);
    left += Math.max(0, total - completed - failed);
    done += completed;
    tokens += doneTokens;
  }
  return { rows: left, tokensEach: done === 0 || tokens === 0 ? null : tokens / done };
}
