import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import { openBlobStore } from '@headrace/shared/blobs/index.ts';
import { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { oneModel } from '@headrace/shared/bulk/one-model.ts';
import { createInputs, type Inputs } from '@headrace/shared/inputs/index.ts';
import { JobStore } from '@headrace/shared/job-store.ts';
import { Lifecycle } from '@headrace/shared/lifecycle.ts';
import type { Logger } from '@headrace/shared/logger.ts';
import { readModelsDir } from '@headrace/shared/manifests.ts';
import { createMetrics, type Metrics } from '@headrace/shared/metrics.ts';
import { createModelCatalogue, type ModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import { startProbes } from '@headrace/shared/probes.ts';
import { createKeyspace, inferQueueName, type Keyspace } from '@headrace/shared/queues.ts';
import { connectRedis, watchConnection } from '@headrace/shared/redis.ts';
import { createTick } from '@headrace/shared/tick.ts';
import { startTracing } from '@headrace/shared/tracing/start-tracing.ts';
import type { Tracing } from '@headrace/shared/tracing/tracing.ts';
import { forgetWorker, reportWorker } from '@headrace/shared/workers.ts';
import type { Redis } from 'ioredis';
import type { WorkerConfig } from './config.ts';
import { BulkConsumer } from './consumers/bulk.ts';
import { InferConsumer } from './consumers/infer.ts';
import { startGpuMeter } from './gpu-meter.ts';
import { ActivityMeter } from './inference/activity-meter.ts';
import { ModelRuntime } from './inference/model-runtime.ts';
import type { Pipeline } from './inference/pipeline.ts';
import { TokenizerPool } from './inference/tokenizer/tokenizer-pool.ts';
import { type ChosenModel, chooseModels } from './model-choice.ts';
import { ServedModel, STUCK_AFTER_MS } from './served-model.ts';

export interface WorkerService {
  /** Port of the probes. */
  port: number;
  /** Resolves once every model is served or refused, with what is missing. */
  loaded: Promise<string[]>;
  /** Drains and stops; idempotent. @returns false when the deadline passed before all was done */
  stop(): Promise<boolean>;
}

interface Parts {
  config: WorkerConfig;
  log: Logger;
  keys: Keyspace;
  redis: Redis;
  metrics: Metrics;
  tracing: Tracing | undefined;
  store: JobStore;
  tokenizers: TokenizerPool;
  blobs: BlobStore;
  inputs: Inputs;
  batches: BatchStore;
  /** What lines of a batch may name. */
  models: ModelCatalogue;
}

interface PartsOptions {
  config: WorkerConfig;
  log: Logger;
  lifecycle: Lifecycle;
  models: ModelCatalogue;
}

/** The console shows what is reported here; it should be of this second. */
const HEARTBEAT_MS = 1_000;
/** Of a row of a batch, in an engine's hands; a hanging engine is killed long before. */
const BULK_ROW_TIMEOUT_MS = 300_000;
/** After the drain: to kill engines, to close connections. */
export const RELEASE_MS = 4_000;

/** Builds a worker from its configuration and starts it. */
export async function compose(config: WorkerConfig, log: Logger): Promise<WorkerService> {
  const { folders, problems } = await readModelsDir(config.HEADRACE_MODELS_DIR);
  const chosen = chooseModels(folders, config.models);
  const lifecycle = new Lifecycle((name, err) =>
    log.error({ event: 'worker.stop_failed', name, err }, 'could not be stopped'),
  );
  const parts = await createParts({
    config,
    log,
    lifecycle,
    models: createModelCatalogue(folders, ''),
  });
  const models = chosen.map((model) => createServedModel(parts, model));
  const refused = problems.map(({ dir, reason }) => `${dir}: ${reason}`);
  for (const problem of refused) log.error({ event: 'model.refused', problem }, 'model refused');

  // Loops that stood still while Redis was away get their time anew.
  let connectedMs = performance.now();
  parts.redis.on('ready', () => {
    connectedMs = performance.now();
  });
  const isAlive = () =>
    performance.now() - connectedMs < STUCK_AFTER_MS || models.every((model) => model.isMoving());
  let draining = false;
  const missing = () => [
    ...(parts.redis.status === 'ready' ? [] : ['redis']),
    ...refused,
    ...models.flatMap((model) => model.missing ?? []),
  ];
  const probes = await startProbes({
    host: config.HEADRACE_PROBES_HOST,
    port: config.HEADRACE_PROBES_PORT,
    answers: {
      missing: () => (draining ? ['the worker is stopping'] : missing()),
      isAlive,
      registry: parts.metrics.registry,
      refresh: () => models.forEach((model) => void model.updateGauges()),
    },
  });
  lifecycle.push('probes', probes.stop);
  lifecycle.push('models', () => Promise.all(models.map((model) => model.stop())));
  const heartbeat = startHeartbeat(parts, models);
  lifecycle.push('heartbeat', heartbeat.stop);

  await parts.tokenizers.start();
  await listenForCancels(parts, models, lifecycle);
  const loaded = Promise.all(
    models.map(async (model) => {
      await model.start();
      await heartbeat.tick();
    }),
  ).then(missing);

  const drainMs = config.HEADRACE_DRAIN_TIMEOUT_S * 1000;
  lifecycle.push('jobs', () => Promise.all(models.map((model) => model.drain(drainMs))));
  return {
    port: probes.port,
    loaded,
    stop() {
      draining = true;
      return lifecycle.stop(drainMs + RELEASE_MS);
    },
  };
}

async function createParts({ config, log, lifecycle, models }: PartsOptions): Promise<Parts> {
  const tracing = await startTracing(config, { service: 'worker', log });
  lifecycle.push('tracing', () => tracing?.stop());
  const keys = createKeyspace(config.HEADRACE_PREFIX);
  const redis = connectRedis({ url: config.REDIS_URL, role: 'worker', name: 'worker', log });
  lifecycle.push('redis', () => redis.disconnect());
  const metrics = createMetrics();
  lifecycle.push('metrics', () => metrics.stop());
  watchConnection(metrics, redis);
  lifecycle.push('gpu meter', startGpuMeter({ metrics, log }));
  const tokenizers = new TokenizerPool({ threads: config.HEADRACE_TOKENIZER_THREADS, log });
  lifecycle.push('tokenizers', () => tokenizers.stop());
  const blobs = await openBlobStore(config.HEADRACE_BLOBS);
  lifecycle.push('blobs', () => blobs.close());
  const { HEADRACE_BLOBS: blobsUrl, HEADRACE_INPUT_URLS: allowed } = config;
  const inputs = createInputs({ blobs, blobsUrl, allowed });
  lifecycle.push('inputs', () => inputs.close());
  return {
    ...{ config, log, keys, redis, metrics, tracing, tokenizers, blobs, inputs, models },
    store: new JobStore(redis, keys),
    batches: new BatchStore(redis, keys),
  };
}

function createServedModel(parts: Parts, { folder, variant }: ChosenModel): ServedModel {
  const { config, log, keys, redis, metrics, tracing, store, tokenizers } = parts;
  const settings = {
    engine: config.HEADRACE_ENGINE,
    nullCellsPerS: config.HEADRACE_NULL_CELLS_PER_S,
    provider: config.HEADRACE_PROVIDER,
    deviceId: config.HEADRACE_DEVICE_ID,
    engines: config.engines,
    threads: config.HEADRACE_ENGINE_THREADS,
    niceness: config.HEADRACE_ENGINE_NICENESS,
    tokenBudget: config.tokenBudget,
    overheadCells: config.overheadCells,
    maxQueueDelayMs: config.HEADRACE_MAX_QUEUE_DELAY_MS,
    runTimeoutMs: config.HEADRACE_RUN_TIMEOUT_MS,
  };
  const activity = new ActivityMeter();
  const measured = { metrics, activity };
  const runtime = new ModelRuntime({
    ...{ folder, variant, settings },
    ...{ tokenizers, ...measured, tracing, log },
  });
  const publishStarted = createTick<string>((ids) => {
    // A notice for those who watch; the job's state does not depend on it.
    redis.publish(keys.startedChannel, ids.join(',')).catch(() => undefined);
  });
  const { ref: model, variant: runs, task } = runtime;
  const about = { model, variant: runs, redis, tracing, log };
  const createInfer = (pipeline: Pipeline) =>
    new InferConsumer({
      ...{ ...about, keys, task, pipeline, store, ...measured },
      queue: inferQueueName(model),
      resultTtlMs: config.HEADRACE_RESULT_TTL_S * 1000,
      concurrency: config.HEADRACE_CONCURRENCY,
      maxHeldRows: config.HEADRACE_MAX_HELD_ROWS,
      publishStarted,
    });
  const createBulk = (pipeline: Pipeline) =>
    new BulkConsumer({
      ...{ ...about, prefix: keys.prefix, pipeline, metrics },
      ...{ blobs: parts.blobs, inputs: parts.inputs, batches: parts.batches },
      resolve: oneModel(parts.models, () => model),
      chunks: config.HEADRACE_BULK_CHUNKS,
      rowTimeoutMs: BULK_ROW_TIMEOUT_MS,
    });
  const takesChunks = config.HEADRACE_BULK_CHUNKS > 0;
  const createConsumers = (pipeline: Pipeline) => [
    createInfer(pipeline),
    ...(takesChunks ? [createBulk(pipeline)] : []),
  ];
  return new ServedModel({ runtime, createConsumers, metrics, log });
}

/** Tells the others, every second, what this worker serves and how fast it is. */
function startHeartbeat({ redis, keys, log }: Parts, models: ServedModel[]) {
  const id = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;
  const tick = async () => {
    for (const model of models) model.updateGauges();
    if (redis.status !== 'ready') return;
    const report = { id, at_ms: Date.now(), models: models.map((model) => model.report()) };
    try {
      await reportWorker(redis, keys, report);
    } catch (err) {
      log.debug({ event: 'worker.report_failed', err }, 'report failed');
    }
  };
  const timer = setInterval(() => void tick(), HEARTBEAT_MS);
  const stop = async () => {
    clearInterval(timer);
    if (redis.status === 'ready') await forgetWorker(redis, keys, id);
  };
  return { tick, stop };
}

async function listenForCancels(
  { config, log, keys }: Parts,
  models: ServedModel[],
  lifecycle: Lifecycle,
): Promise<void> {
  const name = 'worker-cancels';
  const subscriber = connectRedis({ url: config.REDIS_URL, role: 'worker', name, log });
  lifecycle.push('cancels', () => subscriber.disconnect());
  subscriber.on('message', (_channel, id) => {
    for (const model of models) model.cancel(id);
  });
  // Sent when there is a connection, and again after each reconnection.
  subscriber.subscribe(keys.cancelChannel).catch((err) => {
    log.warn({ event: 'worker.subscribe_failed', err }, 'cannot hear of cancellations');
  });
}
