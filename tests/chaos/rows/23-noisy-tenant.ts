import { setTimeout as sleep } from 'node:timers/promises';
import { createEnqueue, type Enqueue } from '@headrace/shared/enqueue.ts';
import { newJobId } from '@headrace/shared/ids.ts';
import type { Priority } from '@headrace/shared/queues.ts';
import { BUNDLED_MODELS, seededRandom } from '../../helpers/engines.ts';
import { percentile, rounded } from '../harness/figures.ts';
import type { JobClient } from '../harness/job-client.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { connectStack, type Stack, startStack } from '../harness/stack.ts';
import { createTexts } from '../harness/texts.ts';

interface Size {
  flood: number;
  quietJobs: number;
  model: string;
  modelsDir?: string;
}

const bundled = { model: 'sentiment', modelsDir: BUNDLED_MODELS };
const SIZES: Record<Scale, Size> = {
  short: { flood: 10_000, quietJobs: 40, model: 'tiny-classifier' },
  quick: { flood: 20_000, quietJobs: 100, ...bundled },
  long: { flood: 100_000, quietJobs: 300, ...bundled },
};
const WARM_UP = 50;
const LOW_JOBS = 20;
/** So that quiet jobs come at any moment of the runs that they wait for. */
const LONGEST_PAUSE_MS = 50;
const PATIENCE_S = 60;
const GOAL = 2;

export const noisyTenant: ChaosRow = {
  row: 23,
  title: 'A noisy tenant with 100,000 jobs beside a quiet one; the lowest class under high load',
  goal: 'quiet p95 ≤ 2× its idle p95; the lowest class still served',
  plainBullmq: 'starved',
  headline: ['flood_jobs', 'idle_p95_ms', 'quiet_p95_ms', 'quiet_by_idle_p95', 'low_served'],
  async run({ say }, scale) {
    const { flood, quietJobs, model, modelsDir } = SIZES[scale];
    const dir = modelsDir === undefined ? {} : { modelsDir };
    await using stack = await startStack({ models: [model], ...dir });
    await askQuietly(stack.client, WARM_UP);
    const idle = await askQuietly(stack.client, quietJobs);
    say(`idle p95 ${rounded(percentile(idle, 0.95))} ms`);
    await using noise = openNoise(stack);
    await noise.add(flood, { tenant: 'noisy', priority: 'normal' });
    // The first one of many tells the worker that it has more than one tenant.
    await askQuietly(stack.client, 1);
    const finishedBefore = stack.observer.finishes.size;
    const quiet = await askQuietly(stack.client, quietJobs);
    const floodDone = stack.observer.finishes.size - finishedBefore - quietJobs;
    const floodLeft = await noise.waiting();
    say(`quiet p95 ${rounded(percentile(quiet, 0.95))} ms, ${floodLeft} jobs of the flood left`);

    await noise.add(flood, { tenant: 'noisy', priority: 'high' });
    const low = await noise.add(LOW_JOBS, { tenant: 'low', priority: 'low' });
    await stack.observer.until(() => low.every((id) => stack.observer.finishes.has(id)));
    const highLeft = await noise.waiting();
    const byIdle = percentile(quiet, 0.95) / percentile(idle, 0.95);
    return {
      figures: {
        model,
        flood_jobs: flood,
        quiet_jobs: quiet.length,
        idle_p50_ms: rounded(percentile(idle, 0.5)),
        idle_p95_ms: rounded(percentile(idle, 0.95)),
        quiet_p50_ms: rounded(percentile(quiet, 0.5)),
        quiet_p95_ms: rounded(percentile(quiet, 0.95)),
        quiet_by_idle_p95: rounded(byIdle, 2),
        flood_jobs_done_meanwhile: floodDone,
        low_served: low.length,
        jobs_left_when_low_was_served: highLeft,
      },
      ...judge(
        {
          'the flood waits while quiet jobs are served': floodLeft > 0 || scale === 'short',
          'the flood goes on meanwhile': floodDone > 0 || scale === 'short',
          'the lowest class is served before the flood ends': highLeft > 0,
        },
        { 'quiet p95 ≤ 2 × its idle p95': byIdle <= GOAL },
      ),
    };
  },
};

/** One job after the other. @returns milliseconds of each */
async function askQuietly(client: JobClient, count: number): Promise<number[]> {
  const next = createTexts(23);
  const random = seededRandom(count);
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    await sleep(random() * LONGEST_PAUSE_MS);
    const headers = { prefer: `wait=${PATIENCE_S}` };
    const body = { input: next() };
    const { status, ms } = await client.call('/v1/jobs', { method: 'POST', body, headers });
    if (status !== 200) throw new Error(`a quiet job was answered with ${status}`);
    times.push(ms);
  }
  return times;
}

interface Noise extends AsyncDisposable {
  /** Enqueues jobs of one row each, without HTTP. @returns their ids */
  add(count: number, flow: { tenant: string; priority: Priority }): Promise<string[]>;
  /** Jobs that no worker has taken. */
  waiting(): Promise<number>;
}

function openNoise(stack: Stack): Noise {
  const { keys, queue } = stack;
  const connection = connectStack(stack);
  const enqueue: Enqueue = createEnqueue(connection, keys);
  const next = createTexts(230);
  async function addOne(flow: { tenant: string; priority: Priority }): Promise<string> {
    const id = newJobId(Date.now());
    const text = next();
    const payload = {
      ...{ v: 1 as const, model: queue.slice('infer.'.length), ...flow },
      ...{ rows: [{ text, text_pair: null }], parameters: { top_k: null, raw_scores: false } },
      ...{ ttl_s: 86_400, timeout_s: 30, metadata: {}, created_ms: Date.now(), retry_of: null },
      tokens: Math.ceil(text.length / 4),
    };
    await enqueue({ id, queue, payload });
    return id;
  }
  return {
    async add(count, flow) {
      const ids: string[] = [];
      while (ids.length < count) {
        const some = Math.min(1_000, count - ids.length);
        ids.push(...(await Promise.all(Array.from({ length: some }, () => addOne(flow)))));
      }
      return ids;
    },
    waiting: () => connection.zcard(keys.bull(queue, 'prioritized')),
    async [Symbol.asyncDispose]() {
      connection.disconnect();
    },
  };
}
