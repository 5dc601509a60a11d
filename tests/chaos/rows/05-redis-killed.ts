import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { seededRandom } from '../../helpers/engines.ts';
import { inLanes, tally } from '../harness/load.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { connectStack, type Stack, startStack } from '../harness/stack.ts';
import { createTexts } from '../harness/texts.ts';

const KILLS: Record<Scale, number> = { short: 2, quick: 5, long: 20 };
const LANES = 32;
const LONGEST_LIFE_MS = 1_500;
const AGAIN_MS = 50;
const NOTES =
  'The append-only file is on a disk of memory where there is one. On a slow disk Redis answers for ' +
  'up to two seconds before it writes, while the last sync still goes on; a kill then loses what it ' +
  'answered, as a power cut does. Who cannot have that sets `appendfsync always`.';
const Accepted = z.object({ id: z.string() });

export const redisKilled: ChaosRow = {
  row: 5,
  title: 'kill -9 of Redis (AOF everysec) under submissions, 20 times',
  goal: '0 acknowledged jobs lost; an unacknowledged one that is sent again under its key is one job',
  plainBullmq: '0 of 171,571 lost, 102 ambiguous',
  headline: ['kills', 'acknowledged', 'lost', 'sent_again', 'stored_unacknowledged', 'doubled'],
  async run({ say }, scale) {
    await using stack = await startStack({
      models: ['tiny-classifier'],
      redis: { appendonly: true, port: 0, inMemory: true },
    });
    const submitters = startSubmitters(stack);
    const random = seededRandom(5);
    for (let kill = 1; kill <= KILLS[scale]; kill++) {
      await sleep(LONGEST_LIFE_MS * (0.2 + 0.8 * random()));
      await stack.redis.kill9();
      await stack.redis.restart();
      await submitters.untilMore();
      say(`kill ${kill}: ${submitters.answers.length} acknowledged`);
    }
    const answers = await submitters.stop();
    const ids = new Set(answers.map(({ id }) => id));
    const finished = await inLanes([...ids], async (id) => ({
      id,
      job: await stack.client.untilFinished(id),
    }));
    const counts = tally(finished);
    const doubled = (await countRecords(stack)) - ids.size;
    return {
      figures: {
        kills: KILLS[scale],
        acknowledged: answers.length,
        sent_again: answers.filter(({ tries }) => tries > 1).length,
        stored_unacknowledged: answers.filter(({ replayed }) => replayed).length,
        ...{ lost: counts.lost, failed: counts.failed, doubled },
      },
      notes: NOTES,
      ...judge({
        'no acknowledged job is lost': counts.lost === 0,
        'every one succeeds': counts.succeeded === ids.size,
        'each key is one job': ids.size === answers.length && doubled === 0,
      }),
    };
  },
};

interface Acknowledged {
  id: string;
  tries: number;
  replayed: boolean;
}

/** Callers who send each job under a key of its own until it is acknowledged. */
function startSubmitters({ client }: Stack) {
  const answers: Acknowledged[] = [];
  const next = createTexts(5);
  let running = true;
  let keys = 0;
  async function submit(): Promise<Acknowledged> {
    const body = { input: next() };
    const headers = { 'idempotency-key': `submission-${keys++}` };
    for (let tries = 1; ; tries++) {
      const answer = await client.call('/v1/jobs', { method: 'POST', body, headers });
      const { status, replayed } = answer;
      if (status === 202) return { id: Accepted.parse(answer.body).id, tries, replayed };
      if (status !== 503) throw new Error(`a submission was answered with ${status}`);
      await sleep(AGAIN_MS);
    }
  }
  const lane = async () => {
    while (running) answers.push(await submit());
  };
  const done = Promise.all(Array.from({ length: LANES }, lane));
  // Thrown by `stop`.
  done.catch(() => undefined);
  return {
    answers,
    /** Resolves when another one is acknowledged. */
    async untilMore() {
      const before = answers.length;
      while (answers.length === before) await Promise.race([done, sleep(AGAIN_MS)]);
    },
    async stop() {
      running = false;
      await done;
      return answers;
    },
  };
}

/** Finished records that Redis holds. */
async function countRecords(stack: Stack): Promise<number> {
  const connection = connectStack(stack);
  try {
    return (await connection.keys(stack.keys.job('*'))).length;
  } finally {
    connection.disconnect();
  }
}
