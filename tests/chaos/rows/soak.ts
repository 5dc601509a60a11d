import { setTimeout as sleep } from 'node:timers/promises';
import { percentile, rounded } from '../harness/figures.ts';
import { type Kill, unexplainedRuns } from '../harness/kills.ts';
import { type Clients, startClients, tally } from '../harness/load.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { createTexts } from '../harness/texts.ts';

const JOBS: Record<Scale, number> = { short: 3_000, quick: 30_000, long: 100_000 };
const CLIENTS = 64;
const KILL_EVERY_MS = 5_000;
const MEMORY_EVERY_MS = 500;
/** Share of the jobs after which the API's memory has its working size, if they are thousands. */
const WARM_SHARE = 0.2;
const FLAT_RATIO = 1.15;

export const soak: ChaosRow = {
  row: 'soak',
  title: '100,000 jobs, submitted and polled by 64 clients; a worker killed every 5 s',
  goal: 'every job succeeds once, none lost; API memory flat',
  plainBullmq: '–',
  headline: [
    'succeeded',
    'records_written_once',
    'lost',
    'kills',
    'api_memory_warm_mib',
    'api_memory_end_mib',
    'api_memory_max_mib',
  ],
  async run({ say }, scale) {
    await using stack = await startStack({ models: ['tiny-classifier'], workers: 2 });
    const { client, observer } = stack;
    const began = performance.now();
    const clients = startClients({
      ...{ client, clients: CLIENTS, jobs: JOBS[scale] },
      next: createTexts(100),
    });
    const stop = new AbortController();
    const [outcomes, memory, kills] = await Promise.all([
      clients.done.finally(() => stop.abort()),
      watchMemory(stack, clients, stop.signal),
      killOften(stack, stop.signal, (count) => {
        if (count % 5 === 0) say(`${count} kills, ${clients.finished} jobs`);
      }),
    ]);
    const seconds = (performance.now() - began) / 1000;
    await observer.sync();

    const counts = tally(outcomes);
    const once = outcomes.filter(({ id }) => observer.finishes.get(id)?.length === 1).length;
    const { warmMib, endMib, maxMib } = summarize(memory, JOBS[scale]);
    const unexplained = unexplainedRuns(observer, kills);
    return {
      figures: {
        clients: CLIENTS,
        kills: kills.length,
        ...counts,
        records_written_once: once,
        extra_inferences: observer.extraStarts,
        extra_inferences_not_in_flight: unexplained,
        seconds: Math.round(seconds),
        jobs_a_second: Math.round(counts.jobs / seconds),
        api_memory_warm_mib: warmMib,
        api_memory_end_mib: endMib,
        api_memory_max_mib: maxMib,
      },
      ...judge({
        'no job is lost': counts.lost === 0,
        'every job succeeds': counts.succeeded === JOBS[scale],
        'every record is written once': once === JOBS[scale],
        'only what was in flight is inferred again': unexplained === 0,
        'API memory is flat': scale === 'short' || endMib <= warmMib * FLAT_RATIO,
      }),
    };
  },
};

/** Kills the oldest of two workers every 5 s, until told to stop. @returns the kills */
async function killOften(
  { observer, workers, replace }: Stack,
  signal: AbortSignal,
  onKill: (count: number) => void,
): Promise<Kill[]> {
  const kills: Kill[] = [];
  let replacing: Promise<unknown> = Promise.resolve();
  while (await elapsed(KILL_EVERY_MS, signal)) {
    await replacing;
    const [victim] = workers;
    if (!victim || signal.aborted) break;
    await victim.kill9();
    await observer.sync();
    kills.push({ atMs: performance.now(), inFlight: observer.inFlight });
    replacing = replace(victim);
    // Thrown by the next round; without this it would end the process first.
    replacing.catch(() => undefined);
    onKill(kills.length);
  }
  await replacing;
  return kills;
}

interface MemorySample {
  finished: number;
  mib: number;
}

async function watchMemory(
  { client }: Stack,
  clients: Clients,
  signal: AbortSignal,
): Promise<MemorySample[]> {
  const samples: MemorySample[] = [];
  do {
    const bytes = await client.metric('headrace_process_resident_memory_bytes');
    samples.push({ finished: clients.finished, mib: bytes / 2 ** 20 });
  } while (await elapsed(MEMORY_EVERY_MS, signal));
  return samples;
}

/** @returns false as soon as there is nothing to wait for any more */
function elapsed(ms: number, signal: AbortSignal): Promise<boolean> {
  return sleep(ms, true, { signal }).catch(() => false);
}

/** Medians, since one sample may stand before or after a collection of garbage. */
function summarize(samples: MemorySample[], jobs: number) {
  const between = (from: number, to: number) =>
    samples
      .filter(({ finished }) => finished >= from * jobs && finished <= to * jobs)
      .map(({ mib }) => mib);
  const all = between(0, 1);
  return {
    warmMib: rounded(percentile(between(WARM_SHARE, 2 * WARM_SHARE), 0.5)),
    endMib: rounded(percentile(between(1 - WARM_SHARE, 1), 0.5)),
    maxMib: rounded(percentile(all, 1)),
  };
}
