import { inSeconds, largest } from '../harness/figures.ts';
import { inLanes, tally } from '../harness/load.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { countStalls, type Stack, startStack } from '../harness/stack.ts';
import { createTexts } from '../harness/texts.ts';

const ROUNDS: Record<Scale, number> = { short: 1, quick: 3, long: 10 };
const HELD = 100;
const DRAIN_S = 5;
const PICK_UP_GOAL_MS = 2_000;
/** Padded cells: so few that most of what the worker holds has not started. */
const TOKEN_BUDGET = '64';

/** The worker that hangs would do so for ever; the one that takes over gives up soon. */
const HANGING = { HEADRACE_RUN_TIMEOUT_MS: '600000', HEADRACE_DRAIN_TIMEOUT_S: String(DRAIN_S) };
const TAKING_OVER = { HEADRACE_RUN_TIMEOUT_MS: '500' };

interface Round {
  /** Jobs that the hung worker held and no engine had. */
  notStarted: number;
  pickedUpMs: number[];
  /** Of these, how many were picked up before the hung worker was gone. */
  beforeExit: number;
  /** Jobs in the hung engine: running, or prepared behind it. */
  started: number;
  startedPickedUpMs: number[];
  exitCode: number | null;
  innocentFailed: number;
  lost: number;
}

export const sigtermWhileHung: ChaosRow = {
  row: 12,
  title: 'SIGTERM while a batch hangs',
  goal: 'what has not started is back in the queue before the kill, picked up ≤ 2 s',
  plainBullmq: '30–60 s',
  headline: ['not_started', 'not_started_picked_up_after_exit', 'not_started_picked_up_max_s'],
  async run({ say }, scale) {
    const rounds: Round[] = [];
    await using stack = await startStack({
      models: ['tiny-hanger'],
      workers: 0,
      workerEnv: { HEADRACE_TOKEN_BUDGET: TOKEN_BUDGET },
    });
    while (rounds.length < ROUNDS[scale]) {
      rounds.push(await hangAndStop(stack));
      say(`${rounds.length} rounds`);
    }

    const notStarted = rounds.flatMap(({ pickedUpMs }) => pickedUpMs);
    const started = rounds.flatMap(({ startedPickedUpMs }) => startedPickedUpMs);
    const total = (pick: (round: Round) => number) => rounds.reduce((n, r) => n + pick(r), 0);
    const late = total((round) => round.notStarted - round.beforeExit);
    const stalls = countStalls(stack);
    return {
      figures: {
        rounds: rounds.length,
        not_started: total((round) => round.notStarted),
        not_started_picked_up_max_s: inSeconds(largest(notStarted)),
        not_started_picked_up_after_exit: late,
        in_the_hung_engine: total((round) => round.started),
        in_the_hung_engine_picked_up_max_s: inSeconds(largest(started)),
        exits_other_than_0: rounds.filter(({ exitCode }) => exitCode !== 0).length,
        stalls,
        innocent_failed: total((round) => round.innocentFailed),
        lost: total((round) => round.lost),
      },
      ...judge(
        {
          'all that has not started is given back before the exit': late === 0,
          'some had not started': total((round) => round.notStarted) > 0,
          'the exit code is 0': rounds.every(({ exitCode }) => exitCode === 0),
          'nothing stalls': stalls === 0,
          'no other job is lost or fails':
            total((round) => round.innocentFailed + round.lost) === 0,
        },
        { 'picked up ≤ 2 s': largest(notStarted) <= PICK_UP_GOAL_MS },
      ),
      notes: `The drain deadline was ${DRAIN_S} s; what is in the hung engine is given back then.`,
    };
  },
};

async function hangAndStop(stack: Stack): Promise<Round> {
  const { client, observer } = stack;
  const hung = await stack.startWorker(HANGING);
  const culprit = await client.submit({ input: 'please hang now' });
  await observer.until(() => observer.starts.has(culprit));
  const next = createTexts(12);
  const held = await inLanes(Array.from({ length: HELD }, next), (input) =>
    client.submit({ input }),
  );
  await untilActive(stack, HELD + 1);
  const other = await stack.startWorker(TAKING_OVER);
  await observer.sync();
  const started = held.filter((id) => observer.starts.has(id));
  const notStarted = held.filter((id) => !observer.starts.has(id));
  const began = performance.now();
  const exit = await hung.stop();
  const exitedMs = performance.now();
  const outcomes = await inLanes(held, async (id) => ({
    id,
    job: await client.untilFinished(id),
  }));
  await client.untilFinished(culprit);
  await observer.sync();

  const lastStart = (id: string) => observer.starts.get(id)?.at(-1) ?? Number.POSITIVE_INFINITY;
  const counts = tally(outcomes);
  await other.stop();
  stack.workers.length = 0;
  return {
    notStarted: notStarted.length,
    pickedUpMs: notStarted.map((id) => lastStart(id) - began),
    beforeExit: notStarted.filter((id) => lastStart(id) < exitedMs).length,
    started: started.length,
    startedPickedUpMs: started.map((id) => lastStart(id) - began),
    exitCode: exit.code,
    innocentFailed: counts.failed,
    lost: counts.lost,
  };
}

/** Resolves when the worker holds so many jobs; BullMQ tells nobody. */
async function untilActive({ observer, queue }: Stack, count: number): Promise<void> {
  while ((await observer.activeJobs(queue)).length < count) await observer.sync();
}
