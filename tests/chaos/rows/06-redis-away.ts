import { setTimeout as sleep } from 'node:timers/promises';
import type { TestRedis } from '../../helpers/redis.ts';
import { inSeconds, largest, percentile } from '../harness/figures.ts';
import type { Answer } from '../harness/job-client.ts';
import { startClients, tally } from '../harness/load.ts';
import { isRefusal, startProbes, untilServed } from '../harness/probes.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { createTexts } from '../harness/texts.ts';

const AWAY_S: Record<Scale, number[]> = { short: [2], quick: [5, 20], long: [5, 20, 60] };
const CLIENTS = 64;
const JOBS_BEFORE = 200;
/** An answer that was on its way may be right still; the next one must know. */
const SETTLING_MS = 100;
const ANSWER_GOAL_MS = 1_000;
const RESUME_GOAL_MS = 3_000;

interface Way {
  name: string;
  leave(redis: TestRedis): Promise<void> | void;
  back(redis: TestRedis): Promise<void> | void;
}

const WAYS: Way[] = [
  { name: 'refused', leave: (redis) => redis.kill9(), back: (redis) => redis.restart() },
  { name: 'paused', leave: (redis) => redis.pause(), back: (redis) => redis.resume() },
];

export const redisAway: ChaosRow = {
  row: 6,
  title: 'Redis away for 5, 20, 60 s, both killed and paused',
  goal: 'API: 503 + Retry-After, p99 ≤ 1 s; work resumes ≤ 3 s after; 0 failed',
  plainBullmq: 'resumes after 18.9 s',
  headline: [
    'answers_while_away',
    'answers_other_than_503_with_retry_after',
    'answer_p99_s',
    'resumed_max_s',
    'failed',
  ],
  async run({ say }, scale) {
    await using stack = await startStack({
      models: ['tiny-classifier'],
      redis: { appendonly: true, port: 0 },
    });
    const clients = startClients({
      client: stack.client,
      clients: CLIENTS,
      next: createTexts(6),
    });
    const outages: Outage[] = [];
    for (const awayS of AWAY_S[scale]) {
      for (const way of WAYS) {
        const outage = await takeAway(stack, way, awayS);
        outages.push(outage);
        say(`${way.name} for ${awayS} s, resumed after ${inSeconds(outage.resumedMs)} s`);
      }
    }
    const counts = tally(await clients.stop());

    const answers = outages.flatMap((outage) => outage.answers);
    const wrong = answers.filter((answer) => !isRefusal(answer));
    const p99 = percentile(
      answers.map(({ ms }) => ms),
      0.99,
    );
    const resumedMs = largest(outages.map((outage) => outage.resumedMs));
    return {
      figures: {
        outages: outages.length,
        answers_while_away: answers.length,
        answers_other_than_503_with_retry_after: wrong.length,
        answer_p99_s: inSeconds(p99),
        answer_max_s: inSeconds(largest(answers.map(({ ms }) => ms))),
        resumed_max_s: inSeconds(resumedMs),
        ...counts,
      },
      ...judge(
        {
          'the API says 503 and Retry-After': answers.length > 0 && wrong.length === 0,
          'no job is lost': counts.lost === 0,
          'no job fails': counts.succeeded === counts.jobs,
        },
        {
          'answers while away: p99 ≤ 1 s': p99 <= ANSWER_GOAL_MS,
          'work resumes ≤ 3 s after': resumedMs <= RESUME_GOAL_MS,
        },
      ),
    };
  },
};

interface Outage {
  /** To submissions while Redis was away. */
  answers: Answer[];
  resumedMs: number;
}

async function takeAway(stack: Stack, way: Way, awayS: number): Promise<Outage> {
  const { client, redis, observer } = stack;
  await observer.untilMoreFinished(JOBS_BEFORE);
  await way.leave(redis);
  await sleep(SETTLING_MS);
  const probes = startProbes(client);
  await sleep(awayS * 1000 - SETTLING_MS);
  const answers = await probes.stop();
  await way.back(redis);
  return { answers, resumedMs: await untilServed(client) };
}
