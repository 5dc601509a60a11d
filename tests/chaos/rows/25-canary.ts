import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@headrace/client';
import { deliveryIds } from '@headrace/shared/ids.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { type BulkSystem, startBulkSystem } from '../../helpers/bulk-system.ts';
import { deliveriesOnce } from '../harness/deliveries.ts';
import { type EchoingReceiver, startEchoingReceiver } from '../harness/echoing-receiver.ts';
import { plant, plantJobs, plantRedeliveries } from '../harness/planted.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { filesWith, keysWith } from '../harness/traces.ts';

const RESULT_TTL_S: Record<Scale, number> = { short: 4, quick: 5, long: 30 };
/** What may pass after the end of a text's time until nothing is left of it. */
const GONE_AFTER_S = 60;
/** How long callbacks are kept: no less can be configured. */
const DELIVERY_TTL_S = 60;
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
    'left_after_late_answers',
    'left_in_redis',
    'left_in_blobs',
  ],
  async run({ say }, scale) {
    await using undo = new AsyncDisposableStack();
    const receiver = await startEchoingReceiver(newWord());
    undo.defer(() => receiver.stop());
    const system = await startBulkSystem({
      HEADRACE_RESULT_TTL_S: `${RESULT_TTL_S[scale]}`,
      HEADRACE_DELIVERY_TTL_S: `${DELIVERY_TTL_S}`,
      HEADRACE_MODELS: 'tiny-classifier,tiny-embedder,tiny-nan,tiny-crasher',
      HEADRACE_SWEEP_S: '1',
      HEADRACE_LOG_LEVEL: 'debug',
      HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
      HEADRACE_WEBHOOK_PORTS: String(receiver.port),
      HEADRACE_WEBHOOK_SCHEDULE_S: '0,1,3600',
      HEADRACE_WEBHOOK_TIMEOUT_S: '5',
    });
    undo.defer(() => system.stop());
    const redis = connectTo(system);
    undo.defer(() => redis.disconnect());
    return await look({ system, redis, receiver, say, scale });
  },
};

interface Look {
  system: BulkSystem;
  redis: Redis;
  receiver: EchoingReceiver;
  say(text: string): void;
  scale: Scale;
}

async function look({ system, redis, receiver, say, scale }: Look) {
  // First, since receivers that hang keep the others of their host waiting, and jobs live for seconds.
  const atOnce = await leftAfterDelete({ system, redis, receiver });
  say(`deleted ${atOnce.deleted} jobs`);
  const word = newWord();
  const receivers = receiver.urls;
  const planted = await plant({ url: system.apiUrl, word, receivers });
  const { jobs, files, wrong, refused } = planted;
  await plantRedeliveries(system.apiUrl, receivers);
  say(`planted in ${jobs.length} jobs, ${files.length} files and ${refused} wrong requests`);
  for (const id of files) await remove(`${system.apiUrl}/v1/files/${id}`);
  const left = await untilGone({ redis, folder: system.folder, word, scale });
  say('looked for what is left');
  const services = [system.api, system.worker, system.dispatcher];
  const records = services.flatMap(({ logs }) => [...logs]);
  const holds = (text: string) => [word, receiver.secret].some((each) => text.includes(each));
  const hits = records.filter((record) => holds(JSON.stringify(record))).length;
  const noRecords = services.flatMap(({ otherOutput }) => [...otherOutput]);
  const metrics = await metricsOf(system);
  const hitsInMetrics = metrics.filter(holds).length;
  return {
    figures: {
      ...{ jobs: jobs.length, files: files.length, wrong_requests: wrong },
      callbacks: receiver.received(),
      callbacks_kept: left.deliveries,
      log_records: records.length,
      hits_in_logs: hits,
      log_lines_that_are_no_record: noRecords.length,
      hits_in_metrics: hitsInMetrics,
      deleted_jobs: atOnce.deleted,
      left_after_delete: atOnce.left,
      left_after_late_answers: atOnce.leftLater,
      left_in_redis: left.keys.length,
      left_in_blobs: left.files.length,
      batch_records_with_a_time_of_their_own: left.batches,
    },
    ...judge({
      'there was something to find': atOnce.before > 0 && left.before > 0 && records.length > 100,
      'callbacks were sent, and kept': receiver.received() > jobs.length && left.deliveries > 0,
      'every wrong request is refused': refused === wrong,
      'no log record holds it': hits === 0,
      'each line of the logs is one record': noRecords.length === 0,
      'no metric holds it': metrics.length === services.length && hitsInMetrics === 0,
      'a job that is deleted is gone at once': atOnce.deleted > 0 && atOnce.left === 0,
      'what receivers answer later does not bring it back': atOnce.leftLater === 0,
      'nothing is left in Redis': left.keys.length === 0,
      'nothing is left among the files': left.files.length === 0,
    }),
    notes: NOTES,
  };
}

const NOTES =
  'What a batch was created with (metadata, names of columns) is kept for 30 days, as its record\n' +
  'is; the texts and answers of a batch are its files. Receivers repeat what they are told in their\n' +
  'answers, of which the first 1 KB is kept as long as the callback, and their URLs hold a secret.';

function newWord(): string {
  return `canary${randomBytes(8).toString('hex')}`;
}

/**
 * Deletes finished jobs of each kind, and looks at once for what they held, and again when receivers
 * have answered that were being told meanwhile.
 */
async function leftAfterDelete({ system, redis, receiver }: Omit<Look, 'say' | 'scale'>) {
  const word = newWord();
  const url = system.apiUrl;
  const client = createClient({ baseUrl: url });
  const jobs = await plantJobs({ url, word, receivers: receiver.urls });
  await deliveriesOnce(
    client,
    (delivery) =>
      delivery.attempt_count > 0 ||
      delivery.status !== 'pending' ||
      !receiver.answersAtOnce(delivery.url),
  );
  const before = (await keysWith(redis, word)).length;
  const removed = await Promise.all(jobs.map((id) => remove(`${url}/v1/jobs/${id}`)));
  // Those whose time was over before they could be deleted leave what is known of their callbacks.
  const expired = jobs.filter((_, i) => removed[i] !== 204).map((id) => deliveryIds(id).delivery);
  const leftNow = async () => {
    const keys = await keysWith(redis, word);
    return keys.filter((key) => !expired.some((id) => key.endsWith(id))).length;
  };
  const deleted = jobs.length - expired.length;
  const left = await leftNow();
  receiver.release();
  await deliveriesOnce(
    client,
    (delivery) => delivery.attempt_count > 0 || !receiver.isHeld(delivery.url),
  );
  return { before, deleted, left, leftLater: await leftNow() };
}

interface Leftovers {
  redis: Redis;
  folder: string;
  word: string;
  scale: Scale;
}

/** What is there in the end, at the latest when the texts' time and a minute have passed. */
async function untilGone({ redis, folder, word, scale }: Leftovers) {
  const ttlS = Math.max(RESULT_TTL_S[scale], scale === 'short' ? 0 : DELIVERY_TTL_S);
  const deadline = performance.now() + (ttlS + GONE_AFTER_S) * 1000;
  let before = 0;
  let deliveries = 0;
  for (;;) {
    const all = await keysWith(redis, word);
    const ofBatches = await keysFor(redis, all, BATCH);
    // Short as the test is, they are not waited for, but their time must be.
    const ofDeliveries = await keysFor(redis, all, DELIVERY);
    const kept = scale === 'short' ? [...ofBatches, ...ofDeliveries] : ofBatches;
    const keys = all.filter((key) => !kept.includes(key));
    const files = await filesWith(folder, word);
    before = Math.max(before, all.length);
    deliveries = Math.max(deliveries, ofDeliveries.length);
    if ((keys.length === 0 && files.length === 0) || performance.now() > deadline) {
      return { before, deliveries, keys, files, batches: ofBatches.length };
    }
    await sleep(LOOK_AGAIN_MS);
  }
}

interface Kind {
  name: RegExp;
  /** What they live at most. */
  ttlMs: number;
}

const BATCH: Kind = { name: /:batch:batch_\w+$/, ttlMs: BATCH_TTL_MS };
const DELIVERY: Kind = { name: /:delivery:whd_\w+$/, ttlMs: DELIVERY_TTL_S * 1000 };

/** Keys of a kind that vanish by themselves, when they should. */
async function keysFor(redis: Redis, keys: string[], { name, ttlMs }: Kind): Promise<string[]> {
  const named = keys.filter((key) => name.test(key));
  const left = await Promise.all(named.map((key) => redis.pttl(key)));
  return named.filter((_, i) => (left[i] ?? 0) > 0 && (left[i] ?? 0) <= ttlMs);
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
