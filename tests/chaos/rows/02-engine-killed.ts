import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceProcess } from '../../helpers/processes.ts';
import { enginesOf } from '../harness/engines.ts';
import { inSeconds, largest, percentile, sum } from '../harness/figures.ts';
import { type Outcome, startPump, tally } from '../harness/load.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { countStalls, nextLog, type Stack, startStack } from '../harness/stack.ts';
import { createTexts } from '../harness/texts.ts';

const KILLS: Record<Scale, number> = { short: 3, quick: 20, long: 100 };
const OUTSTANDING = 600;
const JOBS_BETWEEN_KILLS = 100;
/**
 * The engine is stopped so long before it is killed. So the kill is always in mid-batch, and the
 * rows that were lost with it can be told: their run took longer than any other.
 */
const HOLD_MS = 500;
const READY_GOAL_MS = 5_000;

interface EngineKill {
  inFlight: Set<string>;
  readyMs: number;
}

export const engineKilled: ChaosRow = {
  row: 2,
  title: 'kill -9 of the engine child in mid-batch',
  goal: '0 stalls, 0 lost, ready again ≤ 5 s, extra inferences ≤ one batch a kill',
  plainBullmq: 'no such process',
  headline: ['kills', 'stalls', 'lost', 'ready_again_max_s', 'batches_run_again_a_kill_max'],
  async run({ say }, scale) {
    await using stack = await startStack({ models: ['tiny-classifier'] });
    const { client, observer, workers } = stack;
    const [worker] = workers;
    if (!worker) throw new Error('there is no worker');
    const pump = startPump({ client, observer, outstanding: OUTSTANDING, next: createTexts(2) });
    const kills: EngineKill[] = [];
    while (kills.length < KILLS[scale]) {
      await observer.untilMoreFinished(JOBS_BETWEEN_KILLS);
      kills.push(await killEngine(stack, worker));
      if (kills.length % 20 === 0) say(`${kills.length} kills, ${pump.ids.length} jobs`);
    }
    const outcomes = await pump.stop();

    const counts = tally(outcomes);
    const stalls = countStalls(stack);
    const batches = kills.map((kill) => lostBatches(kill, outcomes));
    const readyMs = kills.map((kill) => kill.readyMs);
    return {
      figures: {
        kills: kills.length,
        ...counts,
        stalls,
        doubled_results: observer.doubled,
        extra_inferences: sum(batches.flat()),
        batches_run_again_a_kill_max: largest(batches.map((lost) => lost.length)),
        rows_run_again_a_kill_max: largest(batches.map(sum)),
        ready_again_p50_s: inSeconds(percentile(readyMs, 0.5)),
        ready_again_max_s: inSeconds(largest(readyMs)),
      },
      ...judge(
        {
          'nothing stalls': stalls === 0,
          'no job is lost': counts.lost === 0,
          'no job fails': counts.succeeded === counts.jobs,
          'no result is doubled': observer.doubled === 0,
          'at most one batch a kill is run again': batches.every((lost) => lost.length <= 1),
          'kills hit running batches': sum(batches.flat()) > 0,
        },
        { 'ready again ≤ 5 s': largest(readyMs) <= READY_GOAL_MS },
      ),
      notes: `Each engine was stopped (SIGSTOP) for ${HOLD_MS} ms before its kill, in mid-batch.`,
    };
  },
};

async function killEngine({ observer }: Stack, worker: ServiceProcess): Promise<EngineKill> {
  const [engine] = await enginesOf(worker);
  if (!engine) throw new Error('the worker has no engine');
  process.kill(engine, 'SIGSTOP');
  await sleep(HOLD_MS);
  await observer.sync();
  const inFlight = observer.inFlight;
  const restarted = nextLog(worker, ({ event }) => event === 'engine.restarted');
  const began = performance.now();
  process.kill(engine, 'SIGKILL');
  await restarted;
  return { inFlight, readyMs: performance.now() - began };
}

/** Rows of each tensor batch that was running when its engine was killed, and so ran twice. */
function lostBatches({ inFlight }: EngineKill, outcomes: Outcome[]): number[] {
  const batches = new Map<string, number>();
  for (const { id, job } of outcomes) {
    const timings = job?.timings;
    if (!timings || !inFlight.has(id) || timings.infer_ms < HOLD_MS) continue;
    const batch = `${timings.infer_ms} ms, ${timings.batch_rows} rows`;
    batches.set(batch, (batches.get(batch) ?? 0) + 1);
  }
  return [...batches.values()];
}
