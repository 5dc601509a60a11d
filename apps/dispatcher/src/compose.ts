import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import { openBlobStore } from '@headrace/shared/blobs/index.ts';
import { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { FileStore } from '@headrace/shared/files.ts';
import { createInputs } from '@headrace/shared/inputs/index.ts';
import { startInterval } from '@headrace/shared/interval.ts';
import { JobStore } from '@headrace/shared/job-store.ts';
import { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { createThrottle, type Logger } from '@headrace/shared/logger.ts';
import { readModelsDir } from '@headrace/shared/manifests.ts';
import { createMetrics, type Metrics } from '@headrace/shared/metrics.ts';
import { createModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import { startProbes } from '@headrace/shared/probes.ts';
import {
  ASSEMBLE_QUEUE,
  createKeyspace,
  INTERACTIVE,
  type Keyspace,
  PLAN_QUEUE,
} from '@headrace/shared/queues.ts';
import { connectRedis, redisFailure, watchConnection } from '@headrace/shared/redis.ts';
import { startTracing } from '@headrace/shared/tracing/start-tracing.ts';
import type { Tracing } from '@headrace/shared/tracing/tracing.ts';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { createBatchPlans } from './batch-plans.ts';
import { createPlaceChunks } from './chunk-places.ts';
import type { DispatcherConfig } from './config.ts';
import { createAdvance } from './consumers/advance.ts';
import { createAssemble } from './consumers/assemble.ts';
import { startBatchConsumer } from './consumers/batch-consumer.ts';
import { createPlan } from './consumers/plan.ts';
import { createPartsSweep, createSweep } from './consumers/sweep.ts';
import { createQueueGauges, setBatchGauge } from './gauges.ts';
import { startWebhooks } from './webhooks/start.ts';

export interface DispatcherService {
  /** Port of the probes. */
  port: number;
  /** Idempotent. @returns false when the deadline passed before everything was released */
  stop(): Promise<boolean>;
}

export const STOP_DEADLINE_MS = 10_000;
const ADVANCE_MS = 250;
const COUNT_MS = 5_000;

/** Builds a dispatcher from its configuration and starts it. */
export async function compose(config: DispatcherConfig, log: Logger): Promise<DispatcherService> {
  const lifecycle = new Lifecycle((name, err) =>
    log.error({ event: 'dispatcher.stop_failed', name, err }, 'could not be stopped'),
  );
  const tracing = await startTracing(config, { service: 'dispatcher', log });
  lifecycle.push('tracing', () => tracing?.stop());
  const redis = connectRedis({ url: config.REDIS_URL, role: 'worker', name: 'dispatcher', log });
  lifecycle.push('redis', () => redis.disconnect());
  const metrics = createMetrics();
  lifecycle.push('metrics', () => metrics.stop());
  watchConnection(metrics, redis);
  const blobs = await openBlobStore(config.HEADRACE_BLOBS);
  lifecycle.push('blobs', () => blobs.close());

  let stopping = false;
  const probes = await startProbes({
    host: config.HEADRACE_DISPATCHER_PROBES_HOST,
    port: config.HEADRACE_DISPATCHER_PROBES_PORT,
    answers: {
      isAlive: () => true,
      missing: () => [
        ...(stopping ? ['the dispatcher is stopping'] : []),
        ...(redis.status === 'ready' ? [] : ['redis']),
      ],
      registry: metrics.registry,
      refresh: () => {},
    },
  });
  lifecycle.push('probes', probes.stop);

  const keys = createKeyspace(config.HEADRACE_PREFIX);
  const parts = { config, log, redis, keys, blobs, metrics, tracing };
  startSweep(parts, lifecycle);
  await startBatches(parts, lifecycle);
  startWebhooks({ ...parts, lifecycle });
  const countJobs = createQueueGauges({ store: new JobStore(redis, keys), metrics });
  const stopCounting = startInterval(COUNT_MS, countJobs, reporter(log, 'count.failed'));
  lifecycle.push('queue gauges', stopCounting);
  return {
    port: probes.port,
    stop() {
      stopping = true;
      return lifecycle.stop(STOP_DEADLINE_MS);
    },
  };
}

interface Parts {
  config: DispatcherConfig;
  log: Logger;
  redis: Redis;
  keys: Keyspace;
  blobs: BlobStore;
  metrics: Metrics;
  tracing: Tracing | undefined;
}

/** Deletes what has expired or is of no more use, now and again. */
function startSweep({ config, log, redis, keys, blobs }: Parts, lifecycle: Lifecycle): void {
  const sweep = createSweep({ files: new FileStore(redis, keys), blobs });
  const sweepParts = createPartsSweep({ batches: new BatchStore(redis, keys), blobs });
  const step = async () => {
    const count = await sweep();
    if (count > 0) log.info({ event: 'sweep.deleted', count }, 'expired files deleted');
    await sweepParts();
  };
  const everyMs = config.HEADRACE_SWEEP_S * 1000;
  lifecycle.push('sweep', startInterval(everyMs, step, reporter(log, 'sweep.failed')));
}

/** Plans, hands out and assembles batches. */
async function startBatches(parts: Parts, lifecycle: Lifecycle): Promise<void> {
  const { config, log, redis, keys, blobs, metrics, tracing } = parts;
  const { folders } = await readModelsDir(config.HEADRACE_MODELS_DIR);
  const models = createModelCatalogue(folders, '');
  const batches = new BatchStore(redis, keys);
  const plans = createBatchPlans(blobs);
  const files = new FileStore(redis, keys);
  const queues = openQueues(parts, lifecycle);
  const { HEADRACE_BLOBS: blobsUrl, HEADRACE_INPUT_URLS: allowed } = config;
  const inputs = createInputs({ blobs, blobsUrl, allowed });
  lifecycle.push('inputs', () => inputs.close());
  const plan = createPlan({
    ...{ batches, blobs, inputs, models },
    chunkRows: config.HEADRACE_CHUNK_ROWS,
    chunkBytes: config.HEADRACE_CHUNK_BYTES,
    maxInputBytes: config.HEADRACE_MAX_INPUT_BYTES,
  });
  const fileTtlS = config.HEADRACE_FILE_TTL_S;
  const assemble = createAssemble({ batches, files, blobs, inputs, plans, models, fileTtlS });
  const window = config.HEADRACE_CHUNK_WINDOW;
  const placeChunks = createPlaceChunks(redis, keys);
  const chunks = { placeChunks, queue: queues, window };
  const advance = createAdvance({
    ...{ batches, plans, redis, keys, ...chunks },
    onLive: (states) => setBatchGauge(metrics, states),
  });
  const planAndHandOut = async (id: string) => {
    await plan.run(id);
    await advance.step(id);
  };
  const shared = { batches, redis, prefix: keys.prefix, metrics, tracing, log };
  const planning = { status: 'validating', run: planAndHandOut, giveUp: plan.giveUp } as const;
  const assembling = { status: 'finalizing', run: assemble, giveUp: null } as const;
  const consumers = [
    startBatchConsumer({ ...shared, ...planning, queue: PLAN_QUEUE }),
    startBatchConsumer({ ...shared, ...assembling, queue: ASSEMBLE_QUEUE }),
  ];
  for (const consumer of consumers) lifecycle.push(consumer.name, () => consumer.close());
  const stop = startInterval(ADVANCE_MS, advance.tick, reporter(log, 'advance.failed'));
  lifecycle.push('advance', stop);
}

/** That Redis is away is logged by its connection. */
function reporter(log: Logger, event: string): (err: unknown) => void {
  const throttle = createThrottle(60_000);
  return (err) => {
    if (redisFailure(err)) return;
    throttle(event, (swallowed) => log.warn({ event, err, swallowed }, 'is tried again'));
  };
}

function openQueues({ redis, keys }: Parts, lifecycle: Lifecycle): (name: string) => Queue {
  const queues = new Map<string, Queue>();
  lifecycle.push('queues', () => Promise.all([...queues.values()].map((queue) => queue.close())));
  return (name) => {
    const known = queues.get(name);
    if (known !== undefined) return known;
    const queue = new Queue(name, {
      connection: redis,
      prefix: keys.prefix,
      skipVersionCheck: true,
      streams: { events: { maxLen: INTERACTIVE.maxEvents } },
    });
    // The connection's own errors, which its owner has logged already.
    queue.on('error', () => {});
    queues.set(name, queue);
    return queue;
  };
}
