import { modelRef } from '@headrace/shared/manifests.ts';
import { inferQueueName } from '@headrace/shared/queues.ts';
import { ADDS_IN_FLIGHT, openBareQueue } from './bare-queue.ts';
import { startBenchProcess } from './bench-process.ts';
import { type HttpLoad, loadWindow } from './http-load.ts';
import { defaultModel, type Part } from './part.ts';
import { medianFigure, quotients } from './statistics.ts';
import { startBenchApi, startBenchRedis } from './system.ts';

const SIZES = {
  full: { warmUpMs: 1_000, windowMs: 4_000, rounds: 5 },
  quick: { warmUpMs: 300, windowMs: 1_000, rounds: 2 },
};

/**
 * `POST /v1/jobs` against a Hono route that only calls `queue.add` with an id and a priority, each
 * in a process of its own, in turn, 64 connections. Nobody takes the jobs out meanwhile.
 */
export const submitOverHttp: Part = async ({ quick, models, documents, say, lifecycle }) => {
  const { rounds, ...times } = quick ? SIZES.quick : SIZES.full;
  const model = modelRef(defaultModel(models).manifest);
  const { env } = await startBenchRedis(lifecycle);
  const api = await startBenchApi(env, model, lifecycle);
  const route = startBenchProcess('bare-route', lifecycle);
  route.send(env);
  const bareOrigin = `http://127.0.0.1:${await route.next()}`;
  const queues = ['bare', inferQueueName(model)].map((name) => openBareQueue(name, env, lifecycle));
  const measure = async (origin: string, path: string) => {
    const bodies = documents.map(({ text }) => JSON.stringify({ model, input: text }));
    const load = {
      origin,
      path,
      bodies,
      inFlight: ADDS_IN_FLIGHT,
      expect: { status: 202 },
      ...times,
    };
    const perS = await rateOf(load);
    for (const queue of queues) await queue.empty();
    return perS;
  };

  await measure(bareOrigin, '/jobs');
  await measure(api.url, '/v1/jobs');
  const perS = { bare: [] as number[], ours: [] as number[] };
  for (let round = 1; round <= rounds; round++) {
    perS.bare.push(await measure(bareOrigin, '/jobs'));
    perS.ours.push(await measure(api.url, '/v1/jobs'));
    const [a, b] = [perS.bare.at(-1) ?? 0, perS.ours.at(-1) ?? 0];
    say(`submit_http ${round}/${rounds}: bare ${a.toFixed(0)}, ours ${b.toFixed(0)} jobs/s`);
  }
  return [
    medianFigure('ratios.submit_http', '', quotients(perS.ours, perS.bare)),
    medianFigure('submit_http.bare_per_s', 'jobs/s', perS.bare),
    medianFigure('submit_http.jobs_per_s', 'jobs/s', perS.ours),
  ];
};

async function rateOf(load: HttpLoad): Promise<number> {
  const { finished, windowMs } = await loadWindow(load, () => null);
  return (finished / windowMs) * 1000;
}
