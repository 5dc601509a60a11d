import { setTimeout as sleep } from 'node:timers/promises';
import { type CutLink, createRelayLink, type LinkedWorker } from '../harness/cut-link.ts';
import { inSeconds, largest, sum } from '../harness/figures.ts';
import { readMetric } from '../harness/job-client.ts';
import { startPump, tally } from '../harness/load.ts';
import { openNamespaceLink } from '../harness/namespace-link.ts';
import { type ChaosRow, judge, type Scale, skip } from '../harness/row.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { createTexts } from '../harness/texts.ts';

const CUTS: Record<Scale, number> = { short: 1, quick: 1, long: 2 };
/** At least; and until the other worker has finished what the cut one held. */
const CUT_MS: Record<Scale, number> = { short: 0, quick: 30_000, long: 60_000 };
/** More than both workers hold; of so many rows that they, not the API, are who is late. */
const OUTSTANDING = 600;
const ROWS = 32;
/** One worker holds up to 192 jobs, so with more both have some. */
const HELD_BY_BOTH = 224;
/** Nobody holds a job for so long who can finish it. */
const STRANDED_AFTER_MS = 3_000;
const LOOK_EVERY_MS = 200;
const GIVE_UP_MS = 120_000;
const TAKE_OVER_GOAL_MS = 20_000;
const NOTICE_GOAL_MS = 15_000;
const RESUME_GOAL_MS = 5_000;
const LINES_A_CUT = 20;

export const halfOpen: ChaosRow = {
  row: 8,
  title: 'half-open network between a worker and Redis, for 60 s, twice',
  goal: 'no silent stop; one visible result; the late one refused',
  plainBullmq: '–',
  headline: [
    'cuts',
    'lost',
    'failed',
    'jobs_cut_off',
    'late_results_refused',
    'doubled_results',
    'noticed_max_s',
    'resumed_max_s',
    'log_lines_a_cut_max',
  ],
  async run({ say }, scale) {
    const opened = scale === 'short' ? createRelayLink() : await openNamespaceLink();
    if ('refused' in opened) return skip(opened.refused);
    await using link = opened;
    await using stack = await startStack({
      models: ['tiny-classifier'],
      redis: { port: 0, settings: link.redisSettings },
    });
    const { client, observer } = stack;
    const linked = await link.startWorker(stack);
    const text = createTexts(8);
    const next = () => Array.from({ length: ROWS }, text);
    const pump = startPump({ client, observer, outstanding: OUTSTANDING, next });
    const cuts: Cut[] = [];
    while (cuts.length < CUTS[scale]) {
      const cut = await cutOff({ stack, link, linked, lastsMs: CUT_MS[scale] });
      cuts.push(cut);
      say(
        `cut ${cuts.length} took ${cut.jobs} jobs, works again after ${inSeconds(cut.resumedMs)} s`,
      );
    }
    const counts = tally(await pump.stop());
    await observer.sync();

    const max = (pick: (cut: Cut) => number) => largest(cuts.map(pick));
    const total = (pick: (cut: Cut) => number) => sum(cuts.map(pick));
    const jobsCutOff = total((cut) => cut.jobs);
    const refused = total((cut) => cut.refused);
    const noticedMs = max((cut) => cut.noticedMs);
    const resumedMs = max((cut) => cut.resumedMs);
    return {
      figures: {
        cuts: cuts.length,
        ...counts,
        jobs_cut_off: jobsCutOff,
        taken_over_max_s: inSeconds(max((cut) => cut.takenOverMs)),
        late_results_refused: refused,
        doubled_results: observer.doubled,
        results_changed: total((cut) => cut.changed),
        noticed_max_s: inSeconds(noticedMs),
        probes_not_alive: total((cut) => cut.notAlive),
        resumed_max_s: inSeconds(resumedMs),
        log_lines_a_cut_max: max((cut) => cut.lines),
      },
      ...judge(
        {
          'no job is lost': counts.lost === 0,
          'no job fails': counts.succeeded === counts.jobs,
          'each cut hits jobs in flight': cuts.every((cut) => cut.jobs > 0),
          'the other worker takes over': max((cut) => cut.takenOverMs) < GIVE_UP_MS,
          'late results come, and are refused': refused > 0,
          'no result is doubled': observer.doubled === 0,
          'no result changes': total((cut) => cut.changed) === 0,
          'the worker is not ready meanwhile': noticedMs < GIVE_UP_MS,
          'and nobody kills it for that': total((cut) => cut.notAlive) === 0,
          'it works again': resumedMs < GIVE_UP_MS,
          'its log stays short': max((cut) => cut.lines) <= LINES_A_CUT,
        },
        {
          'taken over ≤ 20 s': max((cut) => cut.takenOverMs) <= TAKE_OVER_GOAL_MS,
          'noticed ≤ 15 s': noticedMs <= NOTICE_GOAL_MS,
          'works again ≤ 5 s after': resumedMs <= RESUME_GOAL_MS,
        },
      ),
    };
  },
};

interface Cut {
  /** Jobs that the worker held, or whose way to it was cut. */
  jobs: number;
  /** Until the other worker had finished the last of them. */
  takenOverMs: number;
  /** Until the worker said that it is not ready. */
  noticedMs: number;
  /** Probes that would have had it killed. */
  notAlive: number;
  /** From the healing until it had finished a new job. */
  resumedMs: number;
  /** Its results that came too late. */
  refused: number;
  /** Results of the other worker that were not the same any more afterwards. */
  changed: number;
  /** Of the worker's log, until it worked again. */
  lines: number;
}

interface CutOptions {
  stack: Stack;
  link: CutLink;
  linked: LinkedWorker;
  lastsMs: number;
}

async function cutOff({ stack, link, linked, lastsMs }: CutOptions): Promise<Cut> {
  const { logs } = linked.worker;
  const refusedBefore = await readWorker(linked, 'headrace_results_refused_total');
  const linesBefore = logs.length;
  await untilBothHold(stack);
  await link.cut();
  const cutMs = performance.now();
  const probes = watchProbes(linked, cutMs);
  const stranded = await findStranded(stack);
  const [takenOverMs] = await Promise.all([
    untilTakenOver(stack, stranded, cutMs),
    Promise.race([probes.noticed, givenUp()]),
    sleep(Math.max(0, lastsMs - (performance.now() - cutMs))),
  ]);
  const results = await readResults(stack, stranded);
  const finishedBefore = await readWorker(linked, 'headrace_jobs_finished_total');
  await link.heal();
  const resumedMs = await untilWorking(linked, finishedBefore);
  const { noticedMs, notAlive } = await probes.stop();
  const after = await readResults(stack, stranded);
  return {
    ...{ jobs: stranded.length, takenOverMs, noticedMs, notAlive, resumedMs },
    refused: (await readWorker(linked, 'headrace_results_refused_total')) - refusedBefore,
    changed: results.filter((result, i) => result !== after[i]).length,
    lines: logs.length - linesBefore,
  };
}

async function untilBothHold({ observer, queue }: Stack): Promise<void> {
  const giveUp = performance.now() + GIVE_UP_MS;
  while ((await observer.activeJobs(queue)).length < HELD_BY_BOTH) {
    if (performance.now() > giveUp) return;
    await sleep(LOOK_EVERY_MS / 10);
  }
}

/** Keeps no process waiting that has nothing else to do. */
function givenUp(): Promise<void> {
  return sleep(GIVE_UP_MS, undefined, { ref: false });
}

/** Jobs that are held now and still a while later: the other worker is done with its own. */
async function findStranded({ observer, queue }: Stack): Promise<string[]> {
  const held = new Set(await observer.activeJobs(queue));
  await sleep(STRANDED_AFTER_MS);
  return (await observer.activeJobs(queue)).filter((id) => held.has(id));
}

async function untilTakenOver(
  { observer }: Stack,
  stranded: string[],
  cutMs: number,
): Promise<number> {
  const done = observer.until(() => stranded.every((id) => observer.finishes.has(id)));
  await Promise.race([done, givenUp()]);
  return performance.now() - cutMs;
}

function readResults({ client }: Stack, ids: string[]): Promise<string[]> {
  return Promise.all(ids.map(async (id) => JSON.stringify(await client.get(id))));
}

/** From now until it has finished a job that nobody had finished before. */
async function untilWorking(linked: LinkedWorker, finishedBefore: number): Promise<number> {
  const began = performance.now();
  while ((await readWorker(linked, 'headrace_jobs_finished_total')) <= finishedBefore) {
    if (performance.now() - began > GIVE_UP_MS) break;
    await sleep(LOOK_EVERY_MS / 2);
  }
  return performance.now() - began;
}

async function readWorker({ probesUrl }: LinkedWorker, metric: string): Promise<number> {
  const response = await fetch(`${probesUrl}/metrics`);
  return readMetric(await response.text(), metric);
}

interface ProbeWatch {
  /** Resolves when the worker has said that it is not ready. */
  noticed: Promise<void>;
  stop(): Promise<Pick<Cut, 'noticedMs' | 'notAlive'>>;
}

/** Asks the worker what an orchestrator asks it. */
function watchProbes({ probesUrl }: LinkedWorker, cutMs: number): ProbeWatch {
  const noticed = Promise.withResolvers<void>();
  const seen = { noticedMs: Number.POSITIVE_INFINITY, notAlive: 0 };
  let running = true;
  const loop = async () => {
    while (running) {
      if (!(await fetch(`${probesUrl}/health`)).ok) seen.notAlive += 1;
      if (seen.noticedMs === Number.POSITIVE_INFINITY && !(await fetch(`${probesUrl}/ready`)).ok) {
        seen.noticedMs = performance.now() - cutMs;
        noticed.resolve();
      }
      await sleep(LOOK_EVERY_MS);
    }
  };
  const done = loop();
  return {
    noticed: noticed.promise,
    async stop() {
      running = false;
      await done;
      return seen;
    },
  };
}
