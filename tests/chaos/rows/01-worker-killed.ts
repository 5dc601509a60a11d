import { inSeconds, largest, percentile, rounded, sum } from '../harness/figures.ts';
import { HolderLog, type Kill, unexplainedRuns } from '../harness/kills.ts';
import { startPump, tally } from '../harness/load.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { createTexts } from '../harness/texts.ts';

const KILLS: Record<Scale, number> = { short: 3, quick: 20, long: 100 };
/** More than three dead workers hold, so that the living always have something to do. */
const OUTSTANDING: Record<Scale, number> = { short: 800, quick: 2_000, long: 2_000 };
const JOBS_BETWEEN_KILLS: Record<Scale, number> = { short: 100, quick: 300, long: 300 };
/** How exactly it is known when a job got to another worker. */
const LOOK_EVERY_MS = 250;
const RECOVERY_GOAL_MS = 20_000;

export const workerKilled: ChaosRow = {
  row: 1,
  title: 'kill -9 of a worker in mid-batch',
  goal: '0 lost, 0 failed, 0 doubled; extra inferences ≤ rows in flight; recovery p99 ≤ 20 s',
  plainBullmq: '0 lost, 221 extra in 30 kills',
  headline: [
    'kills',
    'lost',
    'failed',
    'doubled_results',
    'rows_in_flight',
    'extra_inferences',
    'recovery_p99_s',
  ],
  async run({ say }, scale) {
    await using stack = await startStack({ models: ['tiny-classifier'], workers: 2 });
    const { client, observer } = stack;
    const pump = startPump({
      client,
      observer,
      outstanding: OUTSTANDING[scale],
      next: createTexts(1),
    });
    const holders = new HolderLog(observer, stack.queue);
    await using cleanUp = new AsyncDisposableStack();
    cleanUp.defer(() => clearInterval(looking));
    const looking = setInterval(() => void holders.look().catch(() => undefined), LOOK_EVERY_MS);
    const kills: Kill[] = [];
    const hits = () => sum(kills.map((kill) => kill.inFlight.size));
    // A few more where none has hit anything: a run of this model is short.
    while (kills.length < (hits() > 0 ? KILLS[scale] : 3 * KILLS[scale])) {
      await observer.untilMoreFinished(JOBS_BETWEEN_KILLS[scale]);
      await observer.until(() => observer.inFlight.size > 0);
      kills.push(await killOldest(stack, holders));
      if (kills.length % 10 === 0) say(`${kills.length} kills, ${pump.ids.length} jobs`);
    }
    const counts = tally(await pump.stop());
    await observer.sync();

    const waits = holders.recoveries();
    const inFlight = hits();
    const extra = observer.extraStarts;
    const unexplained = unexplainedRuns(observer, kills);
    const p99 = percentile(waits, 0.99);
    return {
      figures: {
        kills: kills.length,
        ...counts,
        doubled_results: observer.doubled,
        rows_in_flight: inFlight,
        extra_inferences: extra,
        extra_inferences_not_in_flight: unexplained,
        jobs_recovered: waits.length,
        recovery_p50_s: inSeconds(percentile(waits, 0.5)),
        recovery_p99_s: inSeconds(p99),
        recovery_max_s: inSeconds(largest(waits)),
        in_flight_a_kill: rounded(inFlight / kills.length),
      },
      ...judge(
        {
          'no job is lost': counts.lost === 0,
          'no job fails': counts.succeeded === counts.jobs,
          'no result is doubled': observer.doubled === 0,
          'only what was in flight is inferred again': unexplained === 0 && extra <= inFlight,
          'kills hit jobs in flight': inFlight > 0,
        },
        { 'recovery p99 ≤ 20 s': p99 <= RECOVERY_GOAL_MS },
      ),
    };
  },
};

/** Kills the worker that has run longest and starts another one in its place. */
async function killOldest(stack: Stack, holders: HolderLog): Promise<Kill> {
  const { observer, workers } = stack;
  const [victim] = workers;
  if (!victim) throw new Error('no worker is left');
  await victim.kill9();
  await observer.sync();
  const atMs = performance.now();
  const inFlight = observer.inFlight;
  await holders.noteKill(atMs);
  await stack.replace(victim);
  return { atMs, inFlight };
}
