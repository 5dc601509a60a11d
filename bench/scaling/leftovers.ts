import { checkRecord, unwrapPipeline } from '@headrace/shared/job-store.ts';
import { bulkQueueName, inferQueueName, type Keyspace } from '@headrace/shared/queues.ts';
import type { Redis } from 'ioredis';

/** What Redis holds when there are no workers any more. */
export interface Leftovers {
  /** Jobs in each list of each queue that has any, such as `infer.sentiment@1 active 3`. */
  lists: string[];
  /** Rows and tokens that the order of work still counts. */
  counted: Record<string, string>;
  /** Jobs by the state of their records; `none` for those without. */
  records: Record<string, number>;
  /** Jobs by the attempts of their records. */
  attempts: Record<string, number>;
  /** Where the first few jobs without a record are. */
  lost: string[];
}

const LISTS = ['wait', 'prioritized', 'active', 'delayed', 'paused', 'failed', 'completed'];
const RECORDS_A_READ = 1_000;
const MOST_LOST = 10;

export async function readLeftovers(
  redis: Redis,
  keys: Keyspace,
  { model, ids }: { model: string; ids: readonly string[] },
): Promise<Leftovers> {
  const infer = inferQueueName(model);
  const lists = await Promise.all(
    [infer, bulkQueueName(model)].map((queue) => lengthsOf(redis, keys, queue)),
  );
  const records: Record<string, number> = {};
  const attempts: Record<string, number> = {};
  const lost: string[] = [];
  for (let at = 0; at < ids.length; at += RECORDS_A_READ) {
    const some = ids.slice(at, at + RECORDS_A_READ);
    const found = await redis.mget(some.map((id) => keys.job(id)));
    for (const [i, json] of found.entries()) {
      const job = json === null ? null : checkRecord(json).job;
      count(records, job?.status ?? 'none');
      if (job !== null) count(attempts, String(job.attempts));
      else if (lost.length < MOST_LOST) lost.push(some[i] ?? '');
    }
  }
  const places = await Promise.all(lost.map((id) => placeOf(redis, keys.bull(infer, ''), id)));
  const counted = await redis.hgetall(keys.order(infer));
  return { lists: lists.flat(), counted, records, attempts, lost: places };
}

async function lengthsOf(redis: Redis, keys: Keyspace, queue: string): Promise<string[]> {
  const pipeline = redis.pipeline();
  for (const list of LISTS) {
    const key = keys.bull(queue, list);
    if (/^(wait|active|paused)$/.test(list)) pipeline.llen(key);
    else pipeline.zcard(key);
  }
  const lengths = unwrapPipeline(await pipeline.exec()).map(Number);
  return LISTS.flatMap((list, i) => (lengths[i] ? [`${queue} ${list} ${lengths[i]}`] : []));
}

async function placeOf(redis: Redis, prefix: string, id: string): Promise<string> {
  const [fields, lock] = await Promise.all([
    redis.hmget(prefix + id, 'priority', 'processedOn', 'ats', 'atm', 'stc', 'failedReason'),
    redis.get(`${prefix}${id}:lock`),
  ]);
  return `${id}: ${JSON.stringify(fields)}, lock ${lock}`;
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}
