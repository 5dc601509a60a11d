import type { Redis } from 'ioredis';
import { z } from 'zod';
import { ActivitySchema } from './activity.ts';
import { unwrapPipeline } from './job-store.ts';
import type { Keyspace } from './queues.ts';

const REPORT_TTL_MS = 15_000;
/** A model that nobody asks for over a weekend is still as fast as it was. */
const SPEED_TTL_MS = 7 * 86_400_000;

const WorkerReportSchema = z.object({
  id: z.string(),
  at_ms: z.number(),
  models: z.array(
    z.object({
      model: z.string(),
      variant: z.string(),
      ready: z.boolean(),
      tokens_per_s: z.number().nullable(),
      rows_per_s: z.number().nullable(),
      /** Missing in reports of older workers. */
      activity: ActivitySchema.optional(),
    }),
  ),
});

/** What a worker says of itself every second. Speeds are what it did while it was busy,
 * or at warm-up. */
export type WorkerReport = z.infer<typeof WorkerReportSchema>;

export async function reportWorker(
  redis: Redis,
  keys: Keyspace,
  report: WorkerReport,
): Promise<void> {
  const write = redis.pipeline().hset(keys.workers, report.id, JSON.stringify(report));
  for (const { model, ready, tokens_per_s } of report.models) {
    if (!ready || tokens_per_s === null || !isSpeed(tokens_per_s)) continue;
    write.set(keys.speed(model), tokens_per_s, 'PX', SPEED_TTL_MS);
  }
  unwrapPipeline(await write.exec());
}

/**
 * Tokens a second of one worker, as the last one that served the model has said; null when none did
 * for days. It is known while there is no worker, so that what waits can be weighed then, too.
 */
export async function lastSpeed(
  redis: Redis,
  keys: Keyspace,
  model: string,
): Promise<number | null> {
  const speed = Number(await redis.get(keys.speed(model)));
  return isSpeed(speed) ? speed : null;
}

function isSpeed(tokensPerS: number): boolean {
  return Number.isFinite(tokensPerS) && tokensPerS > 0;
}

export async function forgetWorker(redis: Redis, keys: Keyspace, id: string): Promise<void> {
  await redis.hdel(keys.workers, id);
}

/** Workers that have reported lately. Reports of workers that are gone are dropped on the way. */
export async function liveWorkers(
  redis: Redis,
  keys: Keyspace,
  nowMs: number,
): Promise<WorkerReport[]> {
  const live: WorkerReport[] = [];
  const gone: string[] = [];
  for (const [id, json] of Object.entries(await redis.hgetall(keys.workers))) {
    const report = WorkerReportSchema.safeParse(parseJson(json));
    if (report.success && nowMs - report.data.at_ms < REPORT_TTL_MS) live.push(report.data);
    else gone.push(id);
  }
  if (gone.length > 0) await redis.hdel(keys.workers, ...gone);
  return live;
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}
