/** Told a number, it adds so many jobs with an id and a priority, and says how long it took. */
import { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { ADDS_IN_FLIGHT, bareJobOptions, openBareQueue } from '../bare-queue.ts';
import { inLanes } from '../lanes.ts';
import type { ServiceEnv } from '../system.ts';

interface Setup {
  env: ServiceEnv;
  jobs: object[];
}

let setup: Setup | null = null;
let queue: ReturnType<typeof openBareQueue>['queue'] | null = null;

process.on('disconnect', () => process.exit(0));
process.on('message', (message: Setup | { count: number }) => {
  if ('count' in message) void produce(message.count);
  else void prepare(message);
});

async function prepare(given: Setup): Promise<void> {
  setup = given;
  queue = openBareQueue('bare', given.env, new Lifecycle(() => undefined)).queue;
  await queue.waitUntilReady();
  process.send?.('ready');
}

async function produce(count: number): Promise<void> {
  const jobs = setup?.jobs ?? [];
  const began = performance.now();
  await inLanes(count, ADDS_IN_FLIGHT, async (i) => {
    await queue?.add('infer', jobs[i % jobs.length], bareJobOptions(`job_${began}_${i}`));
  });
  process.send?.(performance.now() - began);
}
