import { unwrapPipeline } from '@headrace/shared/job-store.ts';
import type { ServedModel } from '@headrace/shared/model-catalogue.ts';
import { ChunkPayloadSchema, type Keyspace } from '@headrace/shared/queues.ts';
import type { Redis } from 'ioredis';
import { z } from 'zod';

/** Work that waits or runs. */
export interface Work {
  rows: number;
  tokens: number;
  /** Those of the rows that workers hold. */
  inFlightRows: number;
}

interface Reads {
  redis: Redis;
  keys: Keyspace;
}

/** Batches that are looked at, those that expire first; chunks are counted whatever their batch. */
const MOST_BATCHES = 1_000;
/** Chunks whose rows are looked at, to know what the others have. */
const SAMPLED_CHUNKS = 8;
const BYTES_A_TOKEN = 4;

/** What is left to do of the batches of each model, in their order. */
export async function readBulkBacklogs(
  reads: Reads,
  models: readonly ServedModel[],
): Promise<Work[]> {
  const [batches, ...chunks] = await Promise.all([
    readBatches(reads),
    ...models.map((model) => readChunks(reads, model)),
  ]);
  return chunks.map((each, i) => bulkWork(each, batches.get(models[i]?.ref ?? '') ?? NO_BATCHES));
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

async function readChunks({ redis, keys }: Reads, model: ServedModel): Promise<ChunkBacklog> {
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

const NO_BATCHES: BatchBacklog = { rows: 0, tokensEach: null };
const FIELDS = ['status', 'model', 'paused', 'total', 'completed', 'failed', 'tokens'];

/** What is left of the batches that are being worked on, by model. */
async function readBatches({ redis, keys }: Reads): Promise<Map<string, BatchBacklog>> {
  const ids = await redis.zrange(keys.liveBatches, '0', String(MOST_BATCHES - 1));
  if (ids.length === 0) return new Map();
  const read = redis.pipeline();
  for (const id of ids) read.hmget(keys.batch(id), ...FIELDS);
  const found = z.array(z.array(z.string().nullable())).parse(unwrapPipeline(await read.exec()));
  const sums = new Map<string, { left: number; done: number; tokens: number }>();
  for (const [status, model, paused, ...counts] of found) {
    if (status !== 'in_progress' || typeof model !== 'string' || paused === '1') continue;
    const [total = 0, completed = 0, failed = 0, tokens = 0] = counts.map(Number);
    const sum = sums.get(model) ?? { left: 0, done: 0, tokens: 0 };
    sum.left += Math.max(0, total - completed - failed);
    sum.done += completed;
    sum.tokens += tokens;
    sums.set(model, sum);
  }
  return new Map([...sums].map(([model, sum]) => [model, backlogOf(sum)]));
}

function backlogOf({ left, done, tokens }: { left: number; done: number; tokens: number }) {
  return { rows: left, tokensEach: done === 0 || tokens === 0 ? null : tokens / done };
}
