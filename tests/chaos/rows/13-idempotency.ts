import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { BatchClient } from '../harness/batch-client.ts';
import { inSeconds } from '../harness/figures.ts';
import { type Answer, JobClient } from '../harness/job-client.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { connectStack, type Stack, startStack } from '../harness/stack.ts';

const ROUNDS: Record<Scale, number> = { short: 2, quick: 10, long: 50 };
const SUBMISSIONS = 100;
const HEAL_GOAL_MS = 60_000;
const AGAIN_MS = 250;
const Accepted = z.object({ id: z.string() });

export const idempotency: ChaosRow = {
  row: 13,
  title: '100 concurrent submissions under one Idempotency-Key, at two APIs; a crash in between',
  goal: '1 job; others get it or 409; other body 422; a crash in between heals ≤ 60 s',
  plainBullmq: '–',
  headline: ['submissions', 'keys', 'jobs', 'other_answers', 'mismatches_not_422', 'healed_s'],
  async run({ say }, scale) {
    await using stack = await startStack({ models: ['tiny-classifier'] });
    const other = new JobClient((await stack.startApi({})).url);
    const ids = new Set<string>();
    let wrong = 0;
    let mismatches = 0;
    for (let round = 0; round < ROUNDS[scale]; round++) {
      const headers = { 'idempotency-key': `round-${round}` };
      const answers = await submitAll([stack.client, other], headers);
      for (const { status, body } of answers) {
        if (status === 202) ids.add(Accepted.parse(body).id);
        else if (status !== 409) wrong += 1;
      }
      const body = { input: 'another body' };
      const { status } = await other.call('/v1/jobs', { method: 'POST', body, headers });
      if (status !== 422) mismatches += 1;
    }
    await other.close();
    for (const id of ids) await stack.client.untilFinished(id);
    await stack.observer.sync();
    const jobs = stack.observer.finishes.size;
    say(`${jobs} jobs of ${ROUNDS[scale]} keys`);
    const healedMs = await crashInBetween(stack);
    say(`healed after ${inSeconds(healedMs)} s`);
    return {
      figures: {
        submissions: ROUNDS[scale] * SUBMISSIONS,
        keys: ROUNDS[scale],
        jobs,
        other_answers: wrong,
        mismatches_not_422: mismatches,
        healed_s: inSeconds(healedMs),
      },
      ...judge(
        {
          'one job for each key': ids.size === ROUNDS[scale] && jobs === ROUNDS[scale],
          'others get it, or 409': wrong === 0,
          'another body is 422': mismatches === 0,
        },
        { 'a crash in between heals ≤ 60 s': healedMs <= HEAL_GOAL_MS },
      ),
    };
  },
};

function submitAll(clients: JobClient[], headers: Record<string, string>): Promise<Answer[]> {
  const body = { input: ['one text', 'and another one'], metadata: { order: '1' } };
  const call = { method: 'POST', body, headers } as const;
  const calls = Array.from({ length: SUBMISSIONS / clients.length }, () =>
    clients.map((client) => client.call('/v1/jobs', call)),
  );
  return Promise.all(calls.flat());
}

/**
 * A job and its key are stored in one step, so a crash has no in between there; an upload has. One
 * API dies in its midst, and the caller sends it again to another one.
 * @returns milliseconds until it is taken
 */
async function crashInBetween(stack: Stack): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-chaos-'));
  const connection = connectStack(stack);
  try {
    const env = { HEADRACE_BLOBS: folder };
    const [dying, living] = await Promise.all([stack.startApi(env), stack.startApi(env)]);
    const headers = { 'idempotency-key': 'crash' };
    const keysBefore = (await connection.keys(stack.keys.once('*'))).length;
    const broken = new BatchClient(dying.url).uploadForever(headers);
    while ((await connection.keys(stack.keys.once('*'))).length === keysBefore) await sleep(10);
    await dying.kill9();
    await broken;
    const began = performance.now();
    const client = new BatchClient(living.url);
    for (;;) {
      const { status } = await client.uploadOnce('a text\n', headers);
      if (status === 200) return performance.now() - began;
      if (status !== 409) throw new Error(`an upload was answered with ${status}`);
      await sleep(AGAIN_MS);
    }
  } finally {
    connection.disconnect();
    rmSync(folder, { recursive: true, force: true });
  }
}
