import { setTimeout as sleep } from 'node:timers/promises';
import { memoryRatio, memoryUse } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { BatchClient } from '../harness/batch-client.ts';
import { inSeconds, rounded } from '../harness/figures.ts';
import { inLanes, tally } from '../harness/load.ts';
import { isRefusal, untilServed } from '../harness/probes.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { connectStack, type Stack, startStack } from '../harness/stack.ts';

const MEMORY_MB: Record<Scale, number> = { short: 24, quick: 64, long: 256 };
/** Four jobs at a time of 4 texts with 1,000 characters each: the API looks four times a second. */
const LANES = 4;
const TEXTS = Array<string>(4).fill('the delivery was late '.repeat(46).slice(0, 1_000));
const BULK_LIMIT = 0.7;
const FULL_MS = 3_000;
const LOOK_MS = 50;
const RECOVER_GOAL_MS = 10_000;
const Accepted = z.object({ id: z.string() });

export const redisFull: ChaosRow = {
  row: 9,
  title: 'Redis memory up to its limit, and a limit below what is used',
  goal: '503 from 80 %, the queue drains to 0, the limit is never hit; a forced hit recovers ≤ 10 s',
  plainBullmq: 'deadlock, 4.8 k errors/s',
  headline: ['memory_at_refusal', 'memory_at_bulk_refusal', 'lost', 'failed', 'recovered_s'],
  async run({ say }, scale) {
    const maxmemory = MEMORY_MB[scale] * 1024 ** 2;
    await using stack = await startStack({
      models: ['tiny-classifier'],
      redis: { maxmemory, port: 0 },
      workers: 0,
    });
    const connection = connectStack(stack);
    try {
      const filled = await fill(stack, connection);
      say(`${filled.ids.length} jobs, refused at ${rounded(100 * filled.atRefusal)} %`);
      await stack.startWorker();
      const counts = tally(
        await inLanes(filled.ids, async (id) => ({
          id,
          job: await stack.client.untilFinished(id),
        })),
      );
      await untilServed(stack.client);
      const left = await connection.zcard(stack.keys.bull(stack.queue, 'prioritized'));
      const recoveredMs = await forceFull(stack, connection);
      say(`served ${inSeconds(recoveredMs)} s after there was memory again`);
      return {
        figures: {
          maxmemory_mb: MEMORY_MB[scale],
          memory_at_bulk_refusal: rounded(filled.atBulkRefusal, 3),
          memory_at_refusal: rounded(filled.atRefusal, 3),
          other_answers: filled.others,
          ...counts,
          left_in_queue: left,
          recovered_s: inSeconds(recoveredMs),
        },
        ...judge(
          {
            'bulk is refused from 70 %': inRange(filled.atBulkRefusal, BULK_LIMIT, 0.8),
            'all is refused from 80 %': inRange(filled.atRefusal, 0.8, 1),
            'refusals are 503 with Retry-After': filled.others === 0,
            'what is queued is processed': counts.succeeded === counts.jobs && left === 0,
          },
          { 'a forced hit recovers ≤ 10 s': recoveredMs <= RECOVER_GOAL_MS },
        ),
      };
    } finally {
      connection.disconnect();
    }
  },
};

const inRange = (value: number, from: number, below: number) => value >= from && value < below;

/** Submits until nothing is taken any more; bulk work meets its limit on the way. */
async function fill({ client, api }: Stack, connection: Redis) {
  const ids: string[] = [];
  let others = 0;
  let full = false;
  let atBulkRefusal = 0;
  // A small memory goes from one limit to the other between two looks of the API.
  let held = false;
  const lane = async () => {
    while (!full) {
      if (held) {
        await sleep(LOOK_MS);
        continue;
      }
      const answer = await client.call('/v1/jobs', { method: 'POST', body: { input: TEXTS } });
      if (answer.status === 202) ids.push(Accepted.parse(answer.body).id);
      else {
        full = true;
        if (!isRefusal(answer)) others += 1;
      }
    }
  };
  const bulk = async () => {
    const files = new BatchClient(api.url);
    while (!full && atBulkRefusal === 0) {
      const { status } = await files.uploadOnce('a text\n', {});
      const ratio = memoryRatio(await memoryUse(connection));
      if (status === 503) atBulkRefusal = ratio;
      else await sleep(LOOK_MS);
      held = atBulkRefusal === 0 && ratio >= BULK_LIMIT;
    }
  };
  await Promise.all([bulk(), ...Array.from({ length: LANES }, lane)]);
  return { ids, others, atBulkRefusal, atRefusal: memoryRatio(await memoryUse(connection)) };
}

/** Sets the limit below what is used, then raises it. @returns milliseconds until a job is served */
async function forceFull({ client }: Stack, connection: Redis): Promise<number> {
  const [, before = '0'] = z.array(z.string()).parse(await connection.config('GET', 'maxmemory'));
  const jobs = Array.from({ length: LANES }, () =>
    client.call('/v1/jobs', { method: 'POST', body: { input: TEXTS } }),
  );
  await connection.config('SET', 'maxmemory', '1mb');
  await sleep(FULL_MS);
  await Promise.all(jobs);
  await connection.config('SET', 'maxmemory', before);
  return untilServed(client);
}
