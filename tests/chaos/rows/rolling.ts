import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseConfig } from '../../../apps/api/src/config.ts';
import { type Receiver, startReceiver } from '../../helpers/receiver.ts';
import { startServiceBalancer } from '../../helpers/service-balancer.ts';
import { inSeconds, largest, percentile, rounded } from '../harness/figures.ts';
import { RollingUpdate } from '../harness/rolling-update.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { countStalls, type Stack, startStack } from '../harness/stack.ts';
import { type FollowedJob, SteadyLoad } from '../harness/steady-load.ts';
import { createTexts } from '../harness/texts.ts';

interface Amount {
  jobsPerS: number;
  /** Processes of each part. */
  replicas: number;
  /** How often each process is replaced. */
  rounds: number;
  lingerMs: number;
}

/** As in service; tests have it at 0. */
const LINGER_MS = parseConfig({}).HEADRACE_LINGER_MS;

const AMOUNTS: Record<Scale, Amount> = {
  // The client shares the machine with other tests: it may read an answer seconds late, and send its
  // next request then, by the same connection.
  short: { jobsPerS: 50, replicas: 1, rounds: 1, lingerMs: 5_000 },
  quick: { jobsPerS: 200, replicas: 2, rounds: 2, lingerMs: LINGER_MS },
  long: { jobsPerS: 200, replicas: 2, rounds: 10, lingerMs: LINGER_MS },
};
const CALLBACK_PATH = '/rolling';
/** Of a pod of `k8s/base`. */
const GRACE_MS = { api: 20_000, worker: 40_000, dispatcher: 20_000 };

export const rolling: ChaosRow = {
  row: 'rolling',
  title: 'rolling restart of API, workers and dispatchers under 200 jobs/s, two of each',
  goal: '0 failed requests but 503 with Retry-After; 0 lost; each job one result, each callback received',
  plainBullmq: '–',
  headline: [
    ...['replacements', 'jobs', 'requests', 'failed_requests', 'lost', 'failed', 'doubled_results'],
    ...['callbacks_lost', 'submit_p99_ms', 'total_p99_ms'],
  ],
  async run({ say }, scale) {
    const { jobsPerS, rounds, replicas, lingerMs } = AMOUNTS[scale];
    await using system = await startSystem({ replicas, lingerMs });
    const { stack, balancer, update, receiver } = system;
    const load = new SteadyLoad({
      ...{ url: balancer.url, jobsPerS, next: createTexts(7) },
      webhookUrl: receiver.url(CALLBACK_PATH),
    });
    const began = performance.now();
    await stack.observer.untilMoreFinished(jobsPerS / 2);
    for (let round = 1; round <= rounds * replicas; round++) {
      await Promise.all([update.replaceApi(), update.replaceWorker(), update.replaceDispatcher()]);
      say(`${update.replacements.length} replaced, ${load.submitted} jobs, ${load.failed} failed`);
    }
    const seconds = (performance.now() - began) / 1000;
    const submitted = load.submitted;
    await load.stop();
    const callbacks = await callbacksOf(receiver, load.jobs);
    for (const [failure, count] of load.failures) say(`${count} × ${failure}`);
    return result({ system, load, callbacks, rate: submitted / seconds });
  },
};

type System = Awaited<ReturnType<typeof startSystem>>;

async function startSystem({ replicas, lingerMs }: Pick<Amount, 'replicas' | 'lingerMs'>) {
  await using undo = new AsyncDisposableStack();
  const receiver = await startReceiver();
  undo.defer(() => receiver.stop());
  const folder = await mkdtemp(join(tmpdir(), 'headrace-rolling-'));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  const balancer = undo.use(await startServiceBalancer());
  const stack: Stack = undo.use(
    await startStack({
      ...{ models: ['tiny-classifier'], workers: replicas, dispatchers: replicas },
      env: {
        HEADRACE_LINGER_MS: String(lingerMs),
        HEADRACE_BLOBS: folder,
        HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
        HEADRACE_WEBHOOK_PORTS: String(receiver.port),
      },
    }),
  );
  const update = new RollingUpdate(stack, balancer);
  await update.take(stack.api);
  while (update.apis < replicas) await update.addApi();
  const kept = undo.move();
  return {
    ...{ stack, balancer, update, receiver },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const SETTLE_MS = 20_000;

/** Waits for what is on its way. @returns callbacks that never came, and that came again */
async function callbacksOf(receiver: Receiver, jobs: FollowedJob[]) {
  const expected = new Set(jobs.filter(({ callsBack }) => callsBack).map(({ id }) => id));
  const missing = () => expected.difference(new Set(receiver.all().map(({ of }) => of)));
  const giveUp = performance.now() + SETTLE_MS;
  while (missing().size > 0 && performance.now() < giveUp) await sleep(50);
  const received = receiver.at(CALLBACK_PATH).length;
  return {
    callbacks: expected.size,
    callbacks_lost: missing().size,
    callbacks_repeated: received - (expected.size - missing().size),
  };
}

interface Outcome {
  system: System;
  load: SteadyLoad;
  callbacks: Awaited<ReturnType<typeof callbacksOf>>;
  rate: number;
}

function result({ system, load, callbacks, rate }: Outcome) {
  const { stack, balancer, update } = system;
  const { observer } = stack;
  const { jobs } = load;
  const lost = jobs.filter(({ status }) => status === null).length;
  const failed = jobs.filter(({ status }) => status !== null && status !== 'succeeded').length;
  const once = jobs.filter(({ id }) => observer.finishes.get(id)?.length === 1).length;
  const stalls = countStalls(stack);
  const { replacements } = update;
  const unclean = replacements.filter(({ exit }) => exit.code !== 0).length;
  const late = replacements.filter(({ part, stopMs }) => stopMs > GRACE_MS[part]).length;
  const totals = jobs.map(({ totalMs }) => totalMs);
  const ms = (values: number[], p: number) => rounded(percentile(values, p));
  return {
    figures: {
      replacements: replacements.length,
      jobs: jobs.length,
      jobs_a_second: rounded(rate),
      requests: load.requests,
      failed_requests: load.failed,
      answers_503_with_retry_after: load.refusals,
      connections_refused: balancer.refused,
      ...{ lost, failed, doubled_results: observer.doubled },
      ...{ extra_inferences: observer.extraStarts, stalls, ...callbacks },
      ...{ exits_other_than_0: unclean },
      exit_max_s: inSeconds(largest(replacements.map(({ stopMs }) => stopMs))),
      submit_p50_ms: ms(load.submitMs, 0.5),
      submit_p99_ms: ms(load.submitMs, 0.99),
      submit_max_ms: rounded(largest(load.submitMs)),
      total_p50_ms: ms(totals, 0.5),
      total_p99_ms: ms(totals, 0.99),
      total_max_ms: rounded(largest(totals)),
    },
    ...judge(
      {
        'no request fails but with 503 and Retry-After': load.failed === 0,
        'no job is lost or fails': lost === 0 && failed === 0,
        'every job has one result': once === jobs.length && observer.doubled === 0,
        'nothing is inferred twice, nothing stalls': observer.extraStarts + stalls === 0,
        'every callback is received': callbacks.callbacks_lost === 0,
        'every exit code is 0': unclean === 0,
      },
      { 'gone within the grace period of its pod': late === 0 },
    ),
  };
}
