import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace, inferQueueName } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { aclFile } from '../../scripts/redis/rights.mjs';
import { Observer } from '../../tests/chaos/harness/observer.ts';
import { startRedis } from '../../tests/helpers/redis.ts';
import { startBenchApi } from '../system.ts';
import { Autoscaler, HPA_SYNC_S } from './autoscaler.ts';
import { Fleet } from './fleet.ts';
import { type Leftovers, readLeftovers } from './leftovers.ts';
import { readMetric } from './readings.ts';
import type { ScaledObject } from './scaled-object.ts';
import { Submitter } from './submitter.ts';

export interface ProcessesOptions {
  object: ScaledObject;
  /** Jobs of the burst. */
  jobs: number;
  /** Jobs a second after the burst, less and less: there is work while workers are stopped. */
  tricklePerS: number;
  trickleS: number;
  /** By how much the autoscaler's clocks run faster than this machine's. */
  clock: number;
  /** Padded cells a second of each worker's pretended device. */
  cellsPerS: number;
  say: (line: string) => void;
}

/** A look at everything, once a second. */
export interface Sample {
  atS: number;
  metric: number;
  waiting: number;
  active: number;
  replicas: number;
  ready: number;
}

export interface ProcessesResult {
  accepted: number;
  refused: number;
  /** From the first job to the last record. */
  drainS: number;
  /** From the first job until there was no worker any more. */
  totalS: number;
  workerSeconds: number;
  mostWorkers: number;
  stops: number;
  stopsWithActiveJobs: number;
  mostActiveAtAStop: number;
  extraRuns: number;
  doubledRecords: number;
  stalled: number;
  uncleanExits: number;
  leftovers: Leftovers;
  samples: Sample[];
}

const MODEL = 'sentiment@1';
/** As the ScaledObject names the keys. */
const PREFIX = '{headrace}';
const PASSWORDS = { api: 'a', worker: 'w', dispatcher: 'd', autoscaler: 's', admin: 'x' };
const SAMPLE_S = 1;
const STOP_DEADLINE_MS = 60_000;

/**
 * A burst from no workers to as many as the ScaledObject asks for, and back to none, with real
 * processes: Redis with its users, the API, and workers that a loop starts and stops as KEDA and the
 * HPA would. Each worker's engine pretends to be a device, so that one machine has room for many.
 */
export async function scaleProcesses(options: ProcessesOptions): Promise<ProcessesResult> {
  const lifecycle = new Lifecycle((name, error) => options.say(`${name}: ${error}`));
  try {
    return await run(options, lifecycle);
  } finally {
    await lifecycle.stop(STOP_DEADLINE_MS);
  }
}

async function run(options: ProcessesOptions, lifecycle: Lifecycle): Promise<ProcessesResult> {
  const { object, clock, say } = options;
  const system = await startSystem(options, lifecycle);
  const { fleet, observer, submitter, redis, keys } = system;
  const scaler = new Autoscaler(object);
  const samples: Sample[] = [];
  const beganMs = performance.now();
  const nowS = () => (performance.now() - beganMs) / 1000;
  let lastFinishS = 0;
  observer.onFinished = () => {
    lastFinishS = nowS();
  };
  const submitted = submitter.run(options);
  let [pollS, syncS, sampleS] = [0, 0, 0];
  let wasActive = false;
  // It ends with no workers, as the autoscaler has it, whatever may be left then.
  while (!(submitter.done && wasActive && fleet.size === 0)) {
    if (nowS() >= pollS) {
      const metric = await system.metric();
      fleet.scaleTo(scaler.poll({ nowS: nowS() * clock, current: fleet.size, metric }));
      wasActive ||= fleet.size > 0;
      pollS += object.pollingInterval / clock;
    }
    if (nowS() >= syncS) {
      const metric = await system.metric();
      fleet.scaleTo(scaler.sync({ nowS: nowS() * clock, current: fleet.size, metric }));
      syncS += HPA_SYNC_S / clock;
    }
    if (nowS() >= sampleS) {
      samples.push(await system.sample(nowS()));
      sampleS += SAMPLE_S;
      const { waiting, active, ready, metric } = samples.at(-1) ?? { waiting: 0 };
      if (samples.length % 10 === 0) say(JSON.stringify({ waiting, active, ready, metric }));
    }
    await sleep(1_000 * Math.max(0.01, Math.min(pollS, syncS, sampleS) - nowS()));
  }
  await Promise.all([fleet.settled(), submitted]);
  await observer.sync();
  const totalS = nowS();
  const active = fleet.activeAtStops;
  return {
    accepted: submitter.ids.length,
    refused: submitter.refused,
    drainS: lastFinishS,
    totalS,
    workerSeconds: fleet.workerSeconds,
    mostWorkers: fleet.most,
    stops: active.length,
    stopsWithActiveJobs: active.filter((jobs) => jobs > 0).length,
    mostActiveAtAStop: Math.max(0, ...active),
    extraRuns: observer.extraStarts,
    doubledRecords: observer.doubled,
    stalled: fleet.stalled,
    uncleanExits: fleet.uncleanExits,
    leftovers: await readLeftovers(redis, keys, { model: MODEL, ids: submitter.ids }),
    samples,
  };
}

async function startSystem({ object, cellsPerS, say }: ProcessesOptions, lifecycle: Lifecycle) {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-scaling-'));
  lifecycle.push('files', () => rmSync(folder, { recursive: true, force: true }));
  const aclfile = join(folder, 'users.acl');
  writeFileSync(aclfile, aclFile(PREFIX, PASSWORDS));
  const server = await startRedis({ port: 0, appendonly: true, settings: { aclfile } });
  lifecycle.push('redis', server.stop);
  const urlOf = (user: keyof typeof PASSWORDS) =>
    server.url.replace('//', `//${user}:${PASSWORDS[user]}@`);
  const log = createLogger({ service: 'bench', level: 'silent' });
  const connect = (user: keyof typeof PASSWORDS): Redis => {
    const redis = connectRedis({ url: urlOf(user), role: 'worker', name: user, log });
    lifecycle.push(user, () => redis.disconnect());
    return redis;
  };
  const [redis, autoscaler] = [connect('admin'), connect('autoscaler')];
  const keys = createKeyspace(PREFIX);
  const observer = new Observer(urlOf('admin'), keys);
  lifecycle.push('observer', () => observer.stop());
  await observer.start();
  const env = { HEADRACE_PREFIX: PREFIX, HEADRACE_BLOBS: folder };
  const apiEnv = { ...env, REDIS_URL: urlOf('api') };
  const api = await startBenchApi(apiEnv, MODEL, lifecycle);
  const bull = (suffix: string) => keys.bull(inferQueueName(MODEL), suffix);
  const fleet = new Fleet({
    env: {
      ...{ ...env, REDIS_URL: urlOf('worker'), HEADRACE_MODELS: MODEL },
      ...{ HEADRACE_ENGINE: 'null', HEADRACE_ENGINES: '1' },
      HEADRACE_NULL_CELLS_PER_S: String(cellsPerS),
    },
    activeJobs: () => redis.llen(bull('active')),
    say,
  });
  lifecycle.push('workers', async () => {
    fleet.scaleTo(0);
    await fleet.settled();
  });
  const metric = () => readMetric(object, { redis: autoscaler, apiUrl: api.url });
  const sample = async (atS: number): Promise<Sample> => {
    const [value, waiting, active] = await Promise.all([
      metric(),
      redis.zcard(bull('prioritized')),
      redis.llen(bull('active')),
    ]);
    const { size: replicas, ready } = fleet;
    return { atS, metric: value ?? -1, waiting, active, replicas, ready };
  };
  const submitter = new Submitter(api.url, MODEL);
  lifecycle.push('submitter', () => submitter.close());
  return { redis, keys, observer, fleet, metric, sample, submitter };
}
