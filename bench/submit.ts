import { JobRequestSchema } from '@headrace/shared/job-request.ts';
import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { modelRef } from '@headrace/shared/manifests.ts';
import { inferQueueName, type JobPayload } from '@headrace/shared/queues.ts';
import { type Api, compose } from '../apps/api/src/compose.ts';
import { parseConfig } from '../apps/api/src/config.ts';
import { ANYBODY } from '../apps/api/src/middleware/caller.ts';
import { ADDS_IN_FLIGHT, type BareQueue, bareJobOptions, openBareQueue } from './bare-queue.ts';
import { inLanes } from './lanes.ts';
import { defaultModel, type Part } from './part.ts';
import { medianFigure, quotients } from './statistics.ts';
import { type ServiceEnv, startBenchRedis } from './system.ts';
import { untilSuccess } from './until-success.ts';

const SIZES = { full: { adds: 20_000, rounds: 7 }, quick: { adds: 2_000, rounds: 2 } };

/**
 * The API's `submit()` in this process against BullMQ's `add` of the same payloads with an id and a
 * priority, in turn, 64 under way. Nobody takes the jobs out meanwhile.
 */
export const submitInProcess: Part = async ({ quick, models, documents, say, lifecycle }) => {
  const { adds, rounds } = quick ? SIZES.quick : SIZES.full;
  const model = modelRef(defaultModel(models).manifest);
  const { env } = await startBenchRedis(lifecycle);
  const api = await composeApi(env, lifecycle);
  const ours = openBareQueue(inferQueueName(model), env, lifecycle);
  const bare = openBareQueue('bare', env, lifecycle);

  const requests = documents.map(({ text }) => JobRequestSchema.parse({ model, input: text }));
  const payloads: JobPayload[] = [];
  const submitOne = async (i: number) => {
    const request = requests[i % requests.length];
    if (request === undefined) throw new RangeError('there are no documents');
    return (await api.submit({ tenant: ANYBODY.tenant, caller: ANYBODY, request })).payload;
  };
  const addOne = (i: number) =>
    bare.queue.add('infer', payloads[i % payloads.length], bareJobOptions(`job_${i}`));
  // Both sides are warm afterwards, and the bare one has its payloads.
  await inLanes(requests.length, ADDS_IN_FLIGHT, async (i) => payloads.push(await submitOne(i)));
  await inLanes(requests.length, ADDS_IN_FLIGHT, addOne);
  await emptyAll([ours, bare]);

  const perS = { bare: [] as number[], ours: [] as number[] };
  for (let round = 1; round <= rounds; round++) {
    perS.bare.push(await rateOf(adds, addOne));
    await emptyAll([ours, bare]);
    perS.ours.push(await rateOf(adds, submitOne));
    await emptyAll([ours, bare]);
    const [a, b] = [perS.bare.at(-1) ?? 0, perS.ours.at(-1) ?? 0];
    say(`submit ${round}/${rounds}: bare ${a.toFixed(0)}, ours ${b.toFixed(0)} jobs/s`);
  }
  return [
    medianFigure('ratios.submit', '', quotients(perS.ours, perS.bare)),
    medianFigure('submit.bare_per_s', 'jobs/s', perS.bare),
    medianFigure('submit.jobs_per_s', 'jobs/s', perS.ours),
  ];
};

/** The API's own composition, without its port. */
async function composeApi(env: ServiceEnv, lifecycle: Lifecycle): Promise<Api> {
  const api = await compose(
    parseConfig({ ...env }),
    createLogger({ service: 'bench', level: 'error' }),
  );
  lifecycle.push('api', api.stop);
  api.start();
  // The first time that it succeeds, there is a connection.
  await untilSuccess(() => api.ticks.admission());
  return api;
}

async function rateOf(count: number, task: (i: number) => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await inLanes(count, ADDS_IN_FLIGHT, task);
  return (count / (performance.now() - began)) * 1000;
}

async function emptyAll(queues: BareQueue[]): Promise<void> {
  for (const queue of queues) await queue.empty();
}
