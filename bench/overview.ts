import { setTimeout as sleep } from 'node:timers/promises';
import { modelRef } from '@headrace/shared/manifests.ts';
import { Pool } from 'undici';
import { z } from 'zod';
import { processCpuMs } from './cpu-time.ts';
import { shortJob } from './idle.ts';
import { type BenchContext, defaultModel, type Figure, type Part } from './part.ts';
import { medianFigure, percentile } from './statistics.ts';
import { type System, startSystem } from './system.ts';

const SIZES = {
  full: { idleMs: 20_000, tabs: 10, rounds: 3, probes: 20 },
  quick: { idleMs: 3_000, tabs: 10, rounds: 1, probes: 3 },
};
const JOBS_PER_S = 1_000;
const SLICE_MS = 10;
/** Of what is submitted, and then in full swing. */
const RAMP_MS = 3_000;
const FAILURE = 'text_too_long';

/** What watching costs an idle API, and how late what it shows is while jobs run. */
export const overview: Part = async (context) => {
  const folder = defaultModel(context.models);
  const system = await startSystem(folder, 'null', context.lifecycle);
  const idle = await measureIdle(context, system);
  const late = await measureLag(context, system, modelRef(folder.manifest));
  return [...idle, ...late];
};

async function measureIdle({ quick, say }: BenchContext, system: System): Promise<Figure[]> {
  const { idleMs, tabs, rounds } = quick ? SIZES.quick : SIZES.full;
  const shares: number[][] = [[], [], []];
  for (let round = 1; round <= rounds; round += 1) {
    for (const [i, open] of [0, 1, tabs].entries()) {
      const streams = await Promise.all(Array.from({ length: open }, () => watch(system)));
      await sleep(1_000);
      const [cpuMs, began] = [processCpuMs(system.pids.api), performance.now()];
      await sleep(idleMs);
      const used = processCpuMs(system.pids.api) - cpuMs;
      shares[i]?.push((100 * used) / (performance.now() - began));
      for (const stream of streams) stream.close();
    }
    say(
      `overview idle ${round}/${rounds}: ${shares.map((all) => all.at(-1)?.toFixed(2))} % of a core`,
    );
  }
  const [none = [], one = [], many = []] = shares;
  return [
    medianFigure('overview.idle_api_percent', '% of a core', none),
    medianFigure('overview.first_tab_percent', '% of a core', less(one, none)),
    medianFigure(
      'overview.each_tab_percent',
      '% of a core',
      less(many, none).map((all) => all / tabs),
    ),
  ];
}

function less(above: readonly number[], below: readonly number[]): number[] {
  return above.map((value, i) => value - (below[i] ?? 0));
}

/** Jobs that fail, one at a time among those that do not: from the end of one until it is shown. */
async function measureLag(
  { quick, say, documents, lifecycle }: BenchContext,
  system: System,
  model: string,
): Promise<Figure[]> {
  const { probes } = quick ? SIZES.quick : SIZES.full;
  const pool = new Pool(system.apiUrl, { connections: 32, pipelining: 1 });
  lifecycle.push('pool', () => pool.destroy());
  const load = submitSteadily(pool, shortJob(model, documents));
  const stream = await watch(system);
  const lags: number[] = [];
  let jobsPerS = 0;
  await sleep(RAMP_MS);
  for (let probe = 1; probe <= probes; probe += 1) {
    await stream.until((sample) => !shows(sample));
    await sleep(Math.random() * 1_000);
    await failOnce(pool, model);
    const endedMs = performance.now();
    const sample = await stream.until(shows);
    lags.push(performance.now() - endedMs);
    jobsPerS = sample.models.find((each) => each.model === model)?.traffic?.jobs_per_s ?? 0;
    say(`overview lag ${probe}/${probes}: ${lags.at(-1)?.toFixed(0)} ms at ${jobsPerS} jobs/s`);
  }
  stream.close();
  await load.stop();
  return [
    { name: 'overview.lag_ms.p50', value: percentile(lags, 0.5), unit: 'ms', rounds: lags },
    { name: 'overview.lag_ms.max', value: Math.max(...lags), unit: 'ms', rounds: lags },
    medianFigure('overview.shown_jobs_per_s', 'jobs/s', [jobsPerS]),
  ];
}

const Sample = z.object({
  models: z.array(
    z.object({ model: z.string(), traffic: z.object({ jobs_per_s: z.number() }).nullable() }),
  ),
  errors: z.array(z.object({ code: z.string(), of: z.string() })).nullable(),
});
type Sample = z.infer<typeof Sample>;

function shows({ errors }: Sample): boolean {
  return (errors ?? []).some(({ code, of }) => code === FAILURE && of === 'job');
}

/** A tab: reads all that comes. `until` waits for the next sample that fits. */
async function watch({ apiUrl }: System) {
  const ended = new AbortController();
  const response = await fetch(`${apiUrl}/v1/overview/events`, { signal: ended.signal });
  if (!response.ok || response.body === null) throw new Error(`the stream: ${response.status}`);
  let waiting: ((sample: Sample) => void) | null = null;
  const take = (event: string) => {
    const [, data] = /^event: now\ndata: (.*)$/.exec(event) ?? [];
    if (data !== undefined) waiting?.(Sample.parse(JSON.parse(data)));
  };
  const read = async (body: ReadableStream<Uint8Array>) => {
    let buffer = '';
    for await (const text of body.pipeThrough(new TextDecoderStream())) {
      const events = (buffer + text).split('\n\n');
      buffer = events.pop() ?? '';
      for (const event of events) take(event);
    }
  };
  read(response.body).catch(() => undefined);
  return {
    until(fits: (sample: Sample) => boolean): Promise<Sample> {
      return new Promise((resolve) => {
        waiting = (sample) => {
          if (fits(sample)) resolve(sample);
        };
      });
    },
    close: () => ended.abort(),
  };
}

/** An open loop: so many jobs a second, whatever becomes of them. */
function submitSteadily(pool: Pool, body: string) {
  const headers = { 'content-type': 'application/json' };
  const request = { method: 'POST', path: '/v1/jobs', headers, body } as const;
  const began = performance.now();
  let sent = 0;
  const pending = new Set<Promise<unknown>>();
  const timer = setInterval(() => {
    const due = ((performance.now() - began) / 1_000) * JOBS_PER_S;
    for (; sent < due; sent += 1) {
      const answered = pool.request(request).then(({ body: answer }) => answer.dump());
      pending.add(answered);
      answered.finally(() => pending.delete(answered)).catch(() => undefined);
    }
  }, SLICE_MS);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.allSettled(pending);
    },
  };
}

/** @throws Error unless it fails as it should */
async function failOnce(pool: Pool, model: string): Promise<void> {
  const input = 'word '.repeat(2_000);
  const answer = await pool.request({
    method: 'POST',
    path: '/v1/jobs',
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify({ model, input, parameters: { overflow: 'error' } }),
  });
  const text = await answer.body.text();
  if (!text.includes(FAILURE)) throw new Error(text.slice(0, 500));
}
