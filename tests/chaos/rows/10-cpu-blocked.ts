import { setTimeout as sleep } from 'node:timers/promises';
import { rounded } from '../harness/figures.ts';
import { inLanes, startPump, tally } from '../harness/load.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { countStalls, type Stack, startStack } from '../harness/stack.ts';
import { createTexts } from '../harness/texts.ts';

const BLOCKS: Record<Scale, number> = { short: 1, quick: 3, long: 10 };
const BLOCKED_MS = 5_000;
const LONG_TEXTS: Record<Scale, number> = { short: 5, quick: 50, long: 100 };
const LONG_TEXT = 'good delivery '.repeat(10_000).slice(0, 100_000);
const OUTSTANDING = 64;
const JOBS_BETWEEN = 100;
const LAG_GOAL_MS = 50;

export const cpuBlocked: ChaosRow = {
  row: 10,
  title: "5 s of a worker's CPU blocked; a 100,000-character document",
  goal: '0 stalls; API event-loop lag p99 < 50 ms',
  plainBullmq: '4 of 4 run twice',
  headline: ['blocks', 'stalls', 'api_lag_p99_ms'],
  async run({ say }, scale) {
    await using stack = await startStack({ models: ['tiny-classifier'], workers: 2 });
    const { client, observer } = stack;
    const next = createTexts(10);
    const pump = startPump({ client, observer, outstanding: OUTSTANDING, next });
    for (let i = 0; i < BLOCKS[scale]; i++) {
      await observer.untilMoreFinished(JOBS_BETWEEN);
      await block(stack);
      say(`blocked ${i + 1} times`);
    }
    const { lagMs, read } = await sendLongTexts(stack, LONG_TEXTS[scale]);
    const counts = tally(await pump.stop());

    const stalls = countStalls(stack);
    return {
      figures: {
        blocks: BLOCKS[scale],
        ...counts,
        stalls,
        extra_inferences: observer.extraStarts,
        doubled_results: observer.doubled,
        long_texts: LONG_TEXTS[scale],
        long_texts_answered: read,
        api_lag_p99_ms: rounded(lagMs),
      },
      ...judge(
        {
          'nothing stalls': stalls === 0,
          'nothing is inferred twice': observer.extraStarts === 0,
          'no job is lost or fails': counts.succeeded === counts.jobs,
          'each long text is answered': read === LONG_TEXTS[scale],
        },
        { 'API event-loop lag p99 < 50 ms': lagMs < LAG_GOAL_MS },
      ),
    };
  },
};

/** The supervisor gets no CPU for 5 s while its jobs are running: locks last longer. */
async function block({ workers }: Stack): Promise<void> {
  const [worker] = workers;
  if (!worker) throw new Error('no worker is left');
  process.kill(worker.pid, 'SIGSTOP');
  await sleep(BLOCKED_MS);
  process.kill(worker.pid, 'SIGCONT');
}

/** The gauge holds the 99th percentile since it was read last. */
async function sendLongTexts(
  { client }: Stack,
  texts: number,
): Promise<{ lagMs: number; read: number }> {
  await client.metric('headrace_event_loop_lag_seconds');
  const jobs = await inLanes(Array(texts).fill(LONG_TEXT), async (input) =>
    client.untilFinished(await client.submit({ input })),
  );
  const lagMs = (await client.metric('headrace_event_loop_lag_seconds')) * 1000;
  return { lagMs, read: jobs.filter((job) => job?.status === 'succeeded').length };
}
