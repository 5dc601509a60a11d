import { inSeconds, largest, percentile } from '../harness/figures.ts';
import { startPump, tally } from '../harness/load.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { countStalls, type Stack, startStack } from '../harness/stack.ts';
import { createTexts } from '../harness/texts.ts';

const STOPS: Record<Scale, number> = { short: 3, quick: 15, long: 50 };
const OUTSTANDING = 600;
const JOBS_BETWEEN = 150;
/** Of a pod, by default. */
const GRACE_MS = 30_000;

interface Stop {
  code: number | null;
  ms: number;
}

export const rollingSigterm: ChaosRow = {
  row: 11,
  title: 'SIGTERM rolling over workers, 50 times',
  goal: '0 extra inference, 0 stalls, exit 0 within grace',
  plainBullmq: '0 / 0 / 257 ms',
  headline: ['stops', 'extra_inferences', 'stalls', 'exits_other_than_0', 'exit_max_s'],
  async run({ say }, scale) {
    await using stack = await startStack({ models: ['tiny-classifier'], workers: 2 });
    const { client, observer } = stack;
    const pump = startPump({ client, observer, outstanding: OUTSTANDING, next: createTexts(11) });
    const stops: Stop[] = [];
    while (stops.length < STOPS[scale]) {
      await observer.untilMoreFinished(JOBS_BETWEEN);
      stops.push(await stopOldest(stack));
      if (stops.length % 10 === 0) say(`${stops.length} stops, ${pump.ids.length} jobs`);
    }
    const outcomes = await pump.stop();

    const counts = tally(outcomes);
    const stalls = countStalls(stack);
    const unclean = stops.filter(({ code }) => code !== 0).length;
    const times = stops.map(({ ms }) => ms);
    return {
      figures: {
        stops: stops.length,
        ...counts,
        exits_other_than_0: unclean,
        stalls,
        extra_inferences: observer.extraStarts,
        doubled_results: observer.doubled,
        jobs_given_back: outcomes.filter(({ job }) => (job?.attempts ?? 0) > 1).length,
        exit_p50_s: inSeconds(percentile(times, 0.5)),
        exit_max_s: inSeconds(largest(times)),
      },
      ...judge(
        {
          'every exit code is 0': unclean === 0,
          'nothing stalls': stalls === 0,
          'nothing is inferred twice': observer.extraStarts === 0 && observer.doubled === 0,
          'no job is lost or fails': counts.succeeded === counts.jobs,
        },
        { 'gone within 30 s': largest(times) <= GRACE_MS },
      ),
    };
  },
};

async function stopOldest(stack: Stack): Promise<Stop> {
  const [oldest] = stack.workers;
  if (!oldest) throw new Error('no worker is left');
  const began = performance.now();
  const { code } = await oldest.stop();
  const ms = performance.now() - began;
  await stack.replace(oldest);
  return { code, ms };
}
