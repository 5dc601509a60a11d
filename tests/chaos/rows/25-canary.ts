import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@headrace/shared/logger.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { type BulkSystem, startBulkSystem } from '../../helpers/bulk-system.ts';
import { plant, plantJobs } from '../harness/planted.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { filesWith, keysWith } from '../harness/traces.ts';

const RESULT_TTL_S: Record<Scale, number> = { short: 4, quick: 5, long: 30 };
/** What may pass after the end of a text's time until nothing is left of it. */
const GONE_AFTER_S = 60;
const LOOK_AGAIN_MS = 250;
/** How long the record of a batch is kept, with its metadata and the names of its columns. */
const BATCH_TTL_MS = 30 * 86_400_000;

export const canary: ChaosRow = {
  row: 25,
  title: 'a canary string, with CRLF, ANSI codes and U+2028, wherever a caller may put text',
  goal: '0 hits in logs and metrics; 0 in Redis and blobs after its TTL + 60 s; one record a line',
  plainBullmq: '10,000 results left in a stream',
  headline: [
    'jobs',
    'hits_in_logs',
    'hits_in_metrics',
    'log_lines_that_are_no_record',
    'left_after_delete',
    'left_in_redis',
    'left_in_blobs',
  ],
  async run({ say }, scale) {
    const system = await startBulkSystem({
      HEADRACE_RESULT_TTL_S: `${RESULT_TTL_S[scale]}`,
      HEADRACE_MODELS: 'tiny-classifier,tiny-embedder,tiny-nan,tiny-crasher',
      HEADRACE_SWEEP_S: '1',
      HEADRACE_LOG_LEVEL: 'debug',
    });
    const redis = connectTo(system);
    try {
      return await look({ system, redis, say, ttlS: RESULT_TTL_S[scale] });
    } finally {
      redis.disconnect();
      await system.stop();
    }
  },
};

interface Look {
  system: BulkSystem;
  redis: Redis;
  say(text: string): void;
  ttlS: number;
}

async function look({ system, redis, say, ttlS }: Look) {
  const word = `canary${randomBytes(8).toString('hex')}`;
  const { jobs, files, wrong, refused } = await plant(system.apiUrl, word);
  say(`planted in ${jobs.length} jobs, ${files.length} files and ${refused} wrong requests`);
  const atOnce = await leftAfterDelete({ system, redis });
  for (const id of files) await remove(`${system.apiUrl}/v1/files/${id}`);
  const left = await untilGone({ redis, folder: system.folder, word, ttlS });
  say('looked for what is left');
  const services = [system.api, system.worker, system.dispatcher];
  const records = services.flatMap(({ logs }) => [...logs]);
  const hits = records.filter((record) => JSON.stringify(record).includes(word)).length;
  const noRecords = services.flatMap(({ otherOutput }) => [...otherOutput]);
  const metrics = await metricsOf(system);
  const hitsInMetrics = metrics.filter((text) => text.includes(word)).length;
  return {
    figures: {
      ...{ jobs: jobs.length, files: files.length, wrong_requests: wrong },
      log_records: records.length,
      hits_in_logs: hits,
      log_lines_that_are_no_record: noRecords.length,
      hits_in_metrics: hitsInMetrics,
      deleted_jobs: atOnce.deleted,
      left_after_delete: atOnce.left,
      left_in_redis: left.keys.length,
      left_in_blobs: left.files.length,
      batch_records_with_a_time_of_their_own: left.batches,
    },
    ...judge({
      'there was something to find': atOnce.before > 0 && left.before > 0 && records.length > 100,
      'every wrong request is refused': refused === wrong,
      'no log record holds it': hits === 0,
      'each line of the logs is one record': noRecords.length === 0,
      'no metric holds it': metrics.length === services.length && hitsInMetrics === 0,
      'a job that is deleted is gone at once': atOnce.deleted > 0 && atOnce.left === 0,
      'nothing is left in Redis': left.keys.length === 0,
      'nothing is left among the files': left.files.length === 0,
    }),
    notes:
      'What a batch was created with (metadata, names of columns) is kept for 30 days, as its ' +
      'record is; the texts and answers of a batch are its files.',
  };
}

/** Deletes finished jobs of each kind, and looks at once for what they held. */
async function leftAfterDelete({ system, redis }: Pick<Look, 'system' | 'redis'>) {
  const word = `canary${randomBytes(8).toString('hex')}`;
  const jobs = await plantJobs(system.apiUrl, word);
  const before = (await keysWith(redis, word)).length;
  const removed = await Promise.all(jobs.map((id) => remove(`${system.apiUrl}/v1/jobs/${id}`)));
  const deleted = removed.filter((status) => status === 204).length;
  return { before, deleted, left: (await keysWith(redis, word)).length };
}

interface Leftovers {
  redis: Redis;
  folder: string;
  word: string;
  ttlS: number;
}

/** What is there in the end, at the latest when the texts' time and a minute have passed. */
async function untilGone({ redis, folder, word, ttlS }: Leftovers) {
  const deadline = performance.now() + (ttlS + GONE_AFTER_S) * 1000;
  let before = 0;
  for (;;) {
    const all = await keysWith(redis, word);
    const ofBatches = await Promise.all(all.map((key) => isBatchWithTtl(redis, key)));
    const keys = all.filter((_, i) => !ofBatches[i]);
    const files = await filesWith(folder, word);
    before = Math.max(before, all.length);
    if ((keys.length === 0 && files.length === 0) || performance.now() > deadline) {
      return { before, keys, files, batches: all.length - keys.length };
    }
    await sleep(LOOK_AGAIN_MS);
  }
}

async function isBatchWithTtl(redis: Redis, key: string): Promise<boolean> {
  const ttlMs = await redis.pttl(key);
  return /:batch:batch_\w+$/.test(key) && ttlMs > 0 && ttlMs <= BATCH_TTL_MS;
}

async function remove(url: string): Promise<number> {
  const response = await fetch(url, { method: 'DELETE' });
  await response.text();
  return response.status;
}

async function metricsOf({ api, worker, dispatcher }: BulkSystem): Promise<string[]> {
  const ports = [api, worker, dispatcher].map(
    ({ logs }) => logs.find(({ port }) => typeof port === 'number')?.port,
  );
  return Promise.all(
    ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()),
  );
}

function connectTo({ env }: BulkSystem): Redis {
  const log = createLogger({ service: 'chaos', level: 'silent' });
  return connectRedis({ url: env.REDIS_URL ?? '', role: 'worker', name: 'canary', log });
}
