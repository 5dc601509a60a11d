import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace, inferQueueName, type Keyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { TINY_MODELS } from '../../helpers/engines.ts';
import {
  type ApiProcess,
  type LogRecord,
  type ServiceProcess,
  startApi,
  startDispatcher,
  startWorker,
} from '../../helpers/processes.ts';
import {
  startRedis,
  type TestRedis,
  type TestRedisOptions,
  testPrefix,
} from '../../helpers/redis.ts';
import { JobClient, readMetric } from './job-client.ts';
import { Observer } from './observer.ts';

export interface StackOptions {
  /** Of all models that the workers serve; the first is the default one of the API. */
  models: string[];
  modelsDir?: string;
  /** Workers to begin with. */
  workers?: number;
  workerEnv?: Record<string, string>;
  /** Of all services, on top of what they need. */
  env?: Record<string, string>;
  dispatchers?: number;
  redis?: TestRedisOptions;
  /** Where the services find Redis, if not where it is. */
  urlOf?: (redis: TestRedis) => Promise<string>;
}

/** The whole system: a Redis of its own, the API and workers as processes, and who watches them. */
export interface Stack extends AsyncDisposable {
  redis: TestRedis;
  api: ApiProcess;
  client: JobClient;
  observer: Observer;
  keys: Keyspace;
  /** Queue of the default model. */
  queue: string;
  /** Workers that live. */
  workers: ServiceProcess[];
  /** Dispatchers that live. */
  dispatchers: ServiceProcess[];
  /** Logs of all services that were ever started. */
  logs(): LogRecord[];
  /** @param under see `ServiceOptions` */
  startWorker(env?: Record<string, string>, under?: readonly string[]): Promise<ServiceProcess>;
  /** Starts one more API with settings of its own. */
  startApi(env: Record<string, string>): Promise<ApiProcess>;
  /** Starts another worker in the place of one that has ended. */
  replace(worker: ServiceProcess): Promise<ServiceProcess>;
  startDispatcher(): Promise<ServiceProcess>;
}

export async function startStack(options: StackOptions): Promise<Stack> {
  const undo = new AsyncDisposableStack();
  try {
    return await build(options, undo);
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

async function build(options: StackOptions, undo: AsyncDisposableStack): Promise<Stack> {
  const { models, modelsDir = TINY_MODELS, workerEnv = {}, urlOf } = options;
  const redis = await startRedis(options.redis ?? {});
  undo.defer(() => redis.stop());
  const prefix = testPrefix();
  const keys = createKeyspace(prefix);
  const env = {
    REDIS_URL: (await urlOf?.(redis)) ?? redis.url,
    HEADRACE_PREFIX: prefix,
    HEADRACE_MODELS_DIR: modelsDir,
    HEADRACE_DEFAULT_MODEL: models[0] ?? '',
    ...options.env,
  };
  const observer = new Observer(redis.url, keys);
  undo.defer(() => observer.stop());
  await observer.start();

  const all: ServiceProcess[] = [];
  const workers: ServiceProcess[] = [];
  undo.defer(() => Promise.all(all.map((service) => service.stop())).then(() => undefined));
  const addWorker = async (own: Record<string, string> = {}, under: readonly string[] = []) => {
    const settings = { HEADRACE_ENGINES: '1', HEADRACE_MODELS: models.join(), ...workerEnv };
    const worker = await startWorker({ env: { ...env, ...settings, ...own }, under });
    all.push(worker);
    workers.push(worker);
    return worker;
  };
  const dispatchers: ServiceProcess[] = [];
  const addDispatcher = async () => {
    const dispatcher = await startDispatcher({ env });
    all.push(dispatcher);
    dispatchers.push(dispatcher);
    return dispatcher;
  };
  const first = Array.from({ length: options.workers ?? 1 }, () => addWorker());
  const others = Array.from({ length: options.dispatchers ?? 0 }, () => addDispatcher());
  const [api] = await Promise.all([startApi({ env }), ...first, ...others]);
  all.push(api);
  const client = new JobClient(api.url);
  undo.defer(() => client.close());
  return {
    ...{ redis, api, client, observer, keys, workers, dispatchers },
    queue: inferQueueName(`${models[0]}@1`),
    logs: () => all.flatMap((service) => [...service.logs]),
    startWorker: addWorker,
    async startApi(own) {
      const more = await startApi({ env: { ...env, ...own } });
      all.push(more);
      return more;
    },
    startDispatcher: addDispatcher,
    replace(worker) {
      workers.splice(workers.indexOf(worker), 1);
      return addWorker();
    },
    [Symbol.asyncDispose]: () => undo.disposeAsync(),
  };
}

/** A connection of the fault's own to the Redis of a system. */
export function connectStack({ redis }: Stack): Redis {
  const log = createLogger({ service: 'chaos', level: 'silent' });
  return connectRedis({ url: redis.url, role: 'worker', name: 'chaos', log });
}

/** Jobs that BullMQ's check has found without a lock. */
export function countStalls(stack: Stack): number {
  return stack.logs().filter(({ event }) => event === 'job.stalled').length;
}

/** The first record from now on that fits. */
export function nextLog(
  service: ServiceProcess,
  fits: (record: LogRecord) => boolean,
): Promise<LogRecord> {
  const past = service.logs.length;
  return service.waitForLog((record) => fits(record) && service.logs.indexOf(record) >= past);
}

/** A metric of a worker, see `JobClient.metric`. */
export async function workerMetric(
  worker: ServiceProcess,
  name: string,
  label = '',
): Promise<number> {
  const response = await fetch(`${await probesUrl(worker)}/metrics`);
  return readMetric(await response.text(), name, label);
}

/** Where a worker answers its probes; `host` is another one where it has a network of its own. */
export async function probesUrl(worker: ServiceProcess, host = '127.0.0.1'): Promise<string> {
  const listening = await worker.waitForLog(({ event }) => event === 'worker.listening');
  return `http://${host}:${Number(listening.port)}`;
}
