import { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { modelRef } from '@headrace/shared/manifests.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { Pool } from 'undici';
import { samplePart } from './documents.ts';
import { encodeDocuments } from './encode.ts';
import { measureHttp, warmUp } from './http-round.ts';
import { inLanes } from './lanes.ts';
import { defaultModel, type Figure, type Part } from './part.ts';
import { mean } from './statistics.ts';
import { startBenchApi, startBenchRedis, startSystem } from './system.ts';

const SPEED = {
  full: { documents: 1_000, warmMs: 4_000, warmUpMs: 2_000, windowMs: 8_000 },
  quick: { documents: 300, warmMs: 500, warmUpMs: 500, windowMs: 1_500 },
};
const BUDGETS = { full: [128, 512, 2_048], quick: [512] };
const STOP_DEADLINE_MS = 30_000;

/**
 * What one engine, so one core, does at each token budget: rows and tokens a second over HTTP. API,
 * client and Redis have the other cores.
 */
export const capacitySpeed: Part = async ({ quick, models, documents, say }) => {
  const { documents: count, warmMs, ...times } = quick ? SPEED.quick : SPEED.full;
  const figures: Figure[] = [];
  for (const folder of models) {
    const rows = await encodeDocuments(folder, samplePart(documents, count));
    const tokensEach = mean(rows.map(({ tokens }) => tokens));
    const task = { model: modelRef(folder.manifest), documents: rows };
    for (const budget of quick ? BUDGETS.quick : BUDGETS.full) {
      const own = new Lifecycle((name, error) => say(`${name}: ${error}`));
      try {
        const settings = { HEADRACE_ENGINES: '1', HEADRACE_TOKEN_BUDGET: String(budget) };
        const system = await startSystem(folder, settings, own);
        await warmUp(system, { ...task, ms: warmMs });
        const { documentsPerS } = await measureHttp(system, { ...task, parameters: {}, ...times });
        const name = `capacity.${folder.manifest.name}.budget_${budget}`;
        say(`${name}: ${documentsPerS.toFixed(1)} rows/s of ${tokensEach.toFixed(1)} tokens`);
        figures.push(figure(`${name}.rows_per_s`, 'rows/s', documentsPerS));
        figures.push(figure(`${name}.tokens_per_s`, 'tokens/s', documentsPerS * tokensEach));
      } finally {
        await own.stop(STOP_DEADLINE_MS);
      }
    }
  }
  return figures;
};

const CHARACTERS = [40, 400, 4_000];
const JOBS = { full: 10_000, quick: 1_000 };
const IN_FLIGHT = 64;

/** Memory of Redis for each job that waits, by the characters of its text. */
export const capacityMemory: Part = async ({ quick, models, say, lifecycle }) => {
  const model = modelRef(defaultModel(models).manifest);
  const { env } = await startBenchRedis(lifecycle);
  const api = await startBenchApi(env, model, lifecycle);
  const log = createLogger({ service: 'bench', level: 'silent' });
  const redis = connectRedis({ url: env.REDIS_URL, role: 'worker', name: 'bench', log });
  lifecycle.push('reader', () => redis.disconnect());
  const pool = new Pool(api.url, { connections: IN_FLIGHT, pipelining: 1 });
  lifecycle.push('pool', () => pool.destroy());
  const jobs = quick ? JOBS.quick : JOBS.full;
  const submit = (characters: number) =>
    inLanes(jobs, IN_FLIGHT, async () => {
      const body = JSON.stringify({ model, input: 'word '.repeat(characters / 5) });
      const headers = { 'content-type': 'application/json' };
      const request = { method: 'POST', path: '/v1/jobs', headers, body } as const;
      const answer = await pool.request(request);
      await answer.body.dump();
      if (answer.statusCode !== 202) throw new Error(`submitted with ${answer.statusCode}`);
    });
  // The stream of events has its full length afterwards, and buffers their size.
  await submit(CHARACTERS[0] ?? 40);
  const figures: Figure[] = [];
  for (const characters of CHARACTERS) {
    const before = await usedBytes(redis);
    await submit(characters);
    const bytes = ((await usedBytes(redis)) - before) / jobs;
    say(`${characters} characters: ${bytes.toFixed(0)} bytes of Redis a waiting job`);
    figures.push(figure(`capacity.redis_bytes.${characters}_characters`, 'B/job', bytes));
  }
  return figures;
};

async function usedBytes(redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1] ?? 0);
}

function figure(name: string, unit: string, value: number): Figure {
  return { name, unit, value, rounds: [value] };
}
