import { once } from 'node:events';
import type { Server } from 'node:http';
import { createEnqueue } from '@headrace/shared/enqueue.ts';
import { startInterval } from '@headrace/shared/interval.ts';
import type { RowLimits } from '@headrace/shared/job-request.ts';
import { JobStore } from '@headrace/shared/job-store.ts';
import { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { createThrottle, type Logger } from '@headrace/shared/logger.ts';
import { readModelsDir } from '@headrace/shared/manifests.ts';
import { createMetrics, type Metrics } from '@headrace/shared/metrics.ts';
import { createModelCatalogue, type ModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import { createKeyspace, INTERACTIVE, type Keyspace } from '@headrace/shared/queues.ts';
import { connectRedis, redisFailure, watchConnection } from '@headrace/shared/redis.ts';
import { startTracing } from '@headrace/shared/tracing/start-tracing.ts';
import { parseReceiverRules } from '@headrace/shared/webhooks/receiver-rules.ts';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { type Admission, createAdmission } from './admission.ts';
import { createApp, type HttpLimits } from './app.ts';
import { type BacklogView, createBacklogView } from './backlog-view.ts';
import { type BulkParts, createBulk } from './bulk.ts';
import type { ApiConfig } from './config.ts';
import { createConsole } from './console/console.ts';
import type { DefaultTerms } from './enqueue-outcome.ts';
import { createExpiredJobs } from './expired-jobs.ts';
import { FinishedHub } from './finished-hub.ts';
import { admitHost } from './host-admission.ts';
import { createIndexTrim } from './index-trim.ts';
import { createJobList } from './job-list.ts';
import { createJobs, type Jobs } from './jobs.ts';
import { KeyStore } from './key-store.ts';
import { createKeyring, type Keyring } from './keyring.ts';
import { createKeys } from './keys.ts';
import { type ModelCards, readModelCards } from './model-cards.ts';
import { createOverview, type Overview } from './overview/overview.ts';
import type { ApiApp } from './routes/add-route.ts';
import { createReadScaling } from './scaling.ts';
import { closeServer, createHttpServer, listen } from './server.ts';
import { createStreamSlots } from './stream-slots.ts';
import { createSubmit, type Submit } from './submit.ts';
import { traceSubmit } from './traced-submit.ts';
import { createToWebhookTarget, type ToWebhookTarget } from './webhook-request.ts';
import { createWebhooks } from './webhooks.ts';
import { createWorkersView, type WorkersView } from './workers-view.ts';

/** Steps that an interval repeats; tests call them. */
export interface ApiTicks {
  admission(): Promise<unknown>;
  workers(): Promise<unknown>;
  backlogs(): Promise<unknown>;
  overview(): Promise<unknown>;
  keyUse(): Promise<unknown>;
  expiredJobs(): Promise<unknown>;
  indexTrim(): Promise<unknown>;
}

export interface Api {
  app: ApiApp;
  submit: Submit;
  ticks: ApiTicks;
  /** Starts the ticks and the subscription; without it the application answers all the same. */
  start(): void;
  /** `start`, then the port. @returns where it listens */
  listen(): Promise<{ host: string; port: number }>;
  /** Not ready, no new requests, waiting ones answered, everything released. Idempotent. */
  stop(): Promise<boolean>;
}

const TICK_MS = {
  admission: 250,
  workers: 2_000,
  backlogs: 1_000,
  overview: 700,
  keyUse: 5_000,
  expiredJobs: 5_000,
  indexTrim: 60_000,
};
const CONNECT_MS = 1_000;
/** After the wait for requests: what the last answers and the connections may still take. */
export const RELEASE_MS = 3_000;

/** Builds the API from its configuration. It needs no Redis to start. */
export async function compose(config: ApiConfig, log: Logger): Promise<Api> {
  const lifecycle = new Lifecycle((name, err) => {
    log.warn({ event: 'api.release_failed', part: name, err }, 'could not be released');
  });
  const tracing = await startTracing(config, { service: 'api', log });
  lifecycle.push('tracing', () => tracing?.stop());
  const metrics = createMetrics();
  lifecycle.push('metrics', () => metrics.stop());
  const { models, cards } = await loadModels(config, log);
  const keys = createKeyspace(config.HEADRACE_PREFIX);
  const redis = openRedis('request', { config, log, lifecycle });
  watchConnection(metrics, redis);
  const hub = new FinishedHub(openRedis('worker', { config, log, lifecycle }), keys);
  lifecycle.push('subscription', () => hub.stop());
  const queues = openQueues(models.queues, redis, config.HEADRACE_PREFIX);
  lifecycle.push('queues', () => Promise.all([...queues.values()].map((queue) => queue.close())));

  const store = new JobStore(redis, keys);
  const admission = createAdmission(redis);
  const workers = createWorkersView(redis, keys);
  const metered = { admission, metrics };
  const views = createViews(config, { redis, keys, store, models, workers, ...metered });
  const { webhookTarget, webhooks } = createCallbacks({ config, redis, keys, admission });
  const taken = { redis, keys, models, metrics, webhookTarget, admission, ...views };
  const plainSubmit = createSubmission(config, taken);
  const submit = tracing === undefined ? plainSubmit : traceSubmit(plainSubmit, tracing);
  const resultTtlMs = config.HEADRACE_RESULT_TTL_S * 1000;
  const access = createAccess(config, redis, keys);
  const shared = { redis, keys, store, hub, submit, models, queues, workers, metrics };
  const jobs = createJobs({ ...shared, resultTtlMs });
  const work = { config, redis, keys, admission, models, workers, lifecycle };
  const bulk = await createBulk({ ...work, webhookTarget });
  let stopping = false;
  const app = createApp({
    streams: createStreamSlots(config.HEADRACE_MAX_STREAMS),
    ...{ jobs, hub, models, cards, workers, admission, redis, metrics, tracing, log, ...views },
    ...bulk,
    ...{ keyring: access.keyring, keys: access.apiKeys, webhooks },
    list: createJobList({ store, jobs }),
    limits: httpLimits(config),
    defaultModel: config.HEADRACE_DEFAULT_MODEL,
    readyNeedsWorker: config.HEADRACE_READY_NEEDS_WORKER,
    metricsOpen: config.HEADRACE_METRICS_OPEN,
    stopping: () => stopping,
    ...(config.HEADRACE_CONSOLE ? { readConsole: createConsole() } : {}),
  });
  const ticks = createTicks({ ...shared, ...access, ...views, jobs, admission, resultTtlMs });
  const server = createHttpServer({ app, maxConnections: config.HEADRACE_MAX_CONNECTIONS });

  let started = false;
  const start = () => {
    if (started) return;
    started = true;
    hub.start();
    startTicks(ticks, log, lifecycle);
  };
  return {
    ...{ app, submit, ticks, start },
    async listen() {
      start();
      await connected(redis);
      await admitHost(config, access.keyring);
      lifecycle.push('http', () => drain(server, { hub, ...views }, config));
      return listen(server, { host: config.HOST, port: config.PORT });
    },
    stop() {
      stopping = true;
      return lifecycle.stop(config.HEADRACE_DRAIN_S * 1000 + 2 * RELEASE_MS);
    },
  };
}

interface ViewParts {
  redis: Redis;
  keys: Keyspace;
  store: JobStore;
  models: ModelCatalogue;
  workers: WorkersView;
  admission: Admission;
  metrics: Metrics;
}

/** What waits for the workers, as admission, the autoscaler and the console weigh it. */
function createViews(config: ApiConfig, parts: ViewParts) {
  const { redis, keys, store, models, workers } = parts;
  const backlogs = createBacklogView({
    ...{ redis, keys, store, models, workers },
    maxRows: config.HEADRACE_MAX_BACKLOG_ROWS,
    maxDrainS: config.HEADRACE_MAX_BACKLOG_S || null,
  });
  return {
    backlogs,
    overview: createOverview({ ...parts, backlogs }),
    readScaling: createReadScaling({
      ...{ redis, keys, store, workers },
      defaultTokensPerS: config.HEADRACE_SCALING_TOKENS_PER_S,
    }),
  };
}

interface SubmissionParts {
  redis: Redis;
  keys: Keyspace;
  models: ModelCatalogue;
  metrics: Metrics;
  webhookTarget: ToWebhookTarget;
  admission: Admission;
  backlogs: BacklogView;
}

function createSubmission(config: ApiConfig, parts: SubmissionParts): Submit {
  const { redis, keys, models, metrics, webhookTarget, admission, backlogs } = parts;
  return createSubmit({
    ...{ models, metrics, keys, limits: rowLimits(config), terms: defaultTerms(config) },
    webhookTarget,
    enqueue: createEnqueue(redis, keys),
    keptOf: (key) => redis.get(key),
    admit(model, work) {
      admission.admit('job');
      return backlogs.admit(model, work);
    },
  });
}

/** Keys, and who may do what. */
function createAccess(config: ApiConfig, redis: Redis, keys: Keyspace) {
  const store = new KeyStore(redis, keys);
  const open = config.HEADRACE_AUTH === 'off';
  const keyring = createKeyring({ store, open, adminKey: config.HEADRACE_ADMIN_KEY ?? null });
  const apiKeys = createKeys({ store, keyring });
  return { keyring, apiKeys, tenants: () => store.tenantNames() };
}

interface TickParts {
  redis: Redis;
  keys: Keyspace;
  models: ModelCatalogue;
  jobs: Jobs;
  keyring: Keyring;
  tenants: () => Promise<string[]>;
  admission: Admission;
  workers: WorkersView;
  backlogs: BacklogView;
  overview: Overview;
  resultTtlMs: number;
}

function createTicks({ redis, keys, models, ...parts }: TickParts): ApiTicks {
  const { admission, workers, backlogs, overview, keyring, jobs, tenants, resultTtlMs } = parts;
  const shared = { redis, keys, queues: models.queues };
  return {
    admission: () => admission.tick(),
    workers: () => workers.tick(),
    backlogs: () => backlogs.tick(),
    overview: () => overview.tick(),
    keyUse: () => keyring.noteUse(),
    expiredJobs: createExpiredJobs({ ...shared, expire: jobs.expire }),
    indexTrim: createIndexTrim({ ...shared, tenants, minAgeMs: resultTtlMs }),
  };
}

type CallbackParts = Pick<BulkParts, 'config' | 'redis' | 'keys' | 'admission'>;

/** Where callbacks may go, and what is known of those that went. */
function createCallbacks({ config, redis, keys, admission }: CallbackParts) {
  const receivers = parseReceiverRules(config);
  const deliveryTtlS = config.HEADRACE_DELIVERY_TTL_S;
  return {
    webhookTarget: createToWebhookTarget(receivers, deliveryTtlS),
    webhooks: createWebhooks({
      ...{ redis, keys, receivers, deliveryTtlS },
      admit: () => admission.admit('job'),
    }),
  };
}

/** Gives Redis a moment, so that usually the very first request is served. */
async function connected(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return;
  try {
    await once(redis, 'ready', { signal: AbortSignal.timeout(CONNECT_MS) });
  } catch {
    // It is away: requests are told so until it comes.
  }
}

/** Requests may end by themselves for a while; then those who wait are answered as things stand. */
async function drain(
  server: Server,
  { hub, overview }: { hub: FinishedHub; overview: Overview },
  config: ApiConfig,
): Promise<void> {
  await overview.stop();
  const drainMs = config.HEADRACE_DRAIN_S * 1000;
  const lingerMs = Math.min(drainMs, config.HEADRACE_LINGER_MS);
  const timer = setTimeout(() => hub.release(), drainMs);
  await closeServer(server, { lingerMs, deadlineMs: drainMs + RELEASE_MS });
  clearTimeout(timer);
}

interface LoadedModels {
  models: ModelCatalogue;
  cards: ModelCards;
}

async function loadModels(config: ApiConfig, log: Logger): Promise<LoadedModels> {
  const { folders, problems } = await readModelsDir(config.HEADRACE_MODELS_DIR);
  for (const problem of problems) {
    log.warn({ event: 'api.model_refused', ...problem }, 'a model folder cannot be served');
  }
  const models = createModelCatalogue(folders, config.HEADRACE_DEFAULT_MODEL);
  if (!models.find(config.HEADRACE_DEFAULT_MODEL)) {
    const model = config.HEADRACE_DEFAULT_MODEL;
    log.warn({ event: 'api.no_default_model', model }, 'the default model is not there');
  }
  return { models, cards: await readModelCards(folders, log) };
}

interface Opening {
  config: ApiConfig;
  log: Logger;
  lifecycle: Lifecycle;
}

function openRedis(role: 'request' | 'worker', { config, log, lifecycle }: Opening): Redis {
  const name = role === 'request' ? 'api' : 'api-subscriber';
  const redis = connectRedis({ url: config.REDIS_URL, role, name, log });
  lifecycle.push(name, () => redis.disconnect());
  return redis;
}

function openQueues(names: string[], connection: Redis, prefix: string): Map<string, Queue> {
  const open = (name: string) => {
    const queue = new Queue(name, {
      connection,
      prefix,
      skipVersionCheck: true,
      streams: { events: { maxLen: INTERACTIVE.maxEvents } },
    });
    // The connection's own errors, which its owner has logged already.
    queue.on('error', () => {});
    return queue;
  };
  return new Map(names.map((name) => [name, open(name)]));
}

function startTicks(ticks: ApiTicks, log: Logger, lifecycle: Lifecycle): void {
  const throttle = createThrottle(10_000);
  const intervals = [
    ['admission', ticks.admission, TICK_MS.admission],
    ['workers', ticks.workers, TICK_MS.workers],
    ['backlogs', ticks.backlogs, TICK_MS.backlogs],
    ['overview', ticks.overview, TICK_MS.overview],
    ['keyUse', ticks.keyUse, TICK_MS.keyUse],
    ['expiredJobs', ticks.expiredJobs, TICK_MS.expiredJobs],
    ['indexTrim', ticks.indexTrim, TICK_MS.indexTrim],
  ] as const;
  for (const [name, step, everyMs] of intervals) {
    const stop = startInterval(everyMs, step, (err) => {
      // That Redis is away is logged by its connection.
      if (redisFailure(err)) return;
      throttle(name, () => log.error({ event: 'api.tick_failed', tick: name, err }, 'tick failed'));
    });
    lifecycle.push(name, stop);
  }
}

function rowLimits(config: ApiConfig): RowLimits {
  const { HEADRACE_MAX_ROWS: maxRows, HEADRACE_MAX_ROW_CHARACTERS: maxRowCharacters } = config;
  return { maxRows, maxRowCharacters };
}

function defaultTerms(config: ApiConfig): DefaultTerms {
  const { HEADRACE_RATE_ROWS_PER_S: rowsPerS, HEADRACE_RATE_BURST_ROWS: burstRows } = config;
  return {
    rate: rowsPerS === 0 ? null : { rowsPerS, burstRows },
    tenantMaxRows: config.HEADRACE_TENANT_MAX_ROWS || null,
  };
}

function httpLimits(config: ApiConfig): HttpLimits {
  return {
    maxBodyBytes: config.HEADRACE_MAX_BODY_BYTES,
    // Two for each row, and the rest of a request many times over.
    maxFields: 2 * config.HEADRACE_MAX_ROWS + 1_024,
    maxRows: config.HEADRACE_MAX_ROWS,
    maxWaitS: config.HEADRACE_MAX_WAIT_S,
    predictTimeoutS: config.HEADRACE_PREDICT_TIMEOUT_S,
  };
}
