import { largest, percentile, sum } from '../harness/figures.ts';
import { type Outcome, runAll, tally } from '../harness/load.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { countStalls, startStack, workerMetric } from '../harness/stack.ts';
import { createTexts, pickPlaces } from '../harness/texts.ts';

const JOBS: Record<Scale, number> = { short: 150, quick: 1_000, long: 1_000 };
const POISONS: Record<Scale, number> = { short: 2, quick: 10, long: 10 };
/** Makes the graph divide the least integer by -1, which traps on x86-64. */
const MARKER = 'crash';

export const rowCrashesEngine: ChaosRow = {
  row: 3,
  title: 'a row that crashes the engine: 10 in 1,000',
  goal: 'those 10 fail, 0 innocent, ≤ log2(batch) + 1 crashes each',
  plainBullmq: '63 innocents a poison row',
  headline: ['poison_rows_failed', 'innocent_failed', 'engine_crashes', 'engine_crashes_allowed'],
  async run(_context, scale) {
    const workerEnv = { HEADRACE_ENGINES: '2' };
    await using stack = await startStack({ models: ['tiny-crasher'], workerEnv });
    const [worker] = stack.workers;
    if (!worker) throw new Error('there is no worker');
    const poisons = pickPlaces(POISONS[scale], JOBS[scale], 3);
    const next = createTexts(3);
    const texts = Array.from({ length: JOBS[scale] }, (_, i) =>
      poisons.has(i) ? `${next()} ${MARKER}` : next(),
    );
    const outcomes = await runAll(
      stack.client,
      texts.map((input) => ({ input })),
    );

    const poisoned = outcomes.filter((_, i) => poisons.has(i));
    const innocent = tally(outcomes.filter((_, i) => !poisons.has(i)));
    const convicted = poisoned.filter(({ job }) => job?.error?.code === 'row_crashed_engine');
    const crashes = await workerMetric(worker, 'headrace_engine_restarts_total');
    const allowed = sum(poisoned.map(allowedCrashes));
    const stalls = countStalls(stack);
    return {
      figures: {
        jobs: outcomes.length,
        poison_rows: poisoned.length,
        poison_rows_failed: convicted.length,
        innocent_failed: innocent.failed,
        innocent_lost: innocent.lost,
        stalls,
        engine_crashes: crashes,
        engine_crashes_allowed: allowed,
        batch_rows_p50: percentile(poisoned.map(batchRows), 0.5),
        batch_rows_max: largest(poisoned.map(batchRows)),
      },
      ...judge({
        'each poison row fails with row_crashed_engine': convicted.length === poisoned.length,
        'no innocent row fails': innocent.succeeded === innocent.jobs,
        'at most log2(batch) + 1 crashes each': crashes <= allowed,
        'engines did crash': crashes >= 2,
        'nothing stalls': stalls === 0,
      }),
    };
  },
};

function batchRows({ job }: Outcome): number {
  return job?.timings?.batch_rows ?? 0;
}

/** A row that was alone from the beginning is tried twice. */
function allowedCrashes(outcome: Outcome): number {
  return Math.ceil(Math.log2(Math.max(2, batchRows(outcome)))) + 1;
}
