import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { bulkQueueName, createKeyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import {
  type LogRecord,
  type ServiceProcess,
  startApi,
  startDispatcher,
  startWorker,
} from '../../helpers/processes.ts';
import { startRedis, type TestRedis, testPrefix } from '../../helpers/redis.ts';
import { AppendOnlyFile } from './append-only-file.ts';
import { BatchClient } from './batch-client.ts';
import { ChunkLog } from './chunk-log.ts';
import { enginesOf } from './engines.ts';
import { nextLog } from './stack.ts';

export type Victim = 'api' | 'dispatcher' | 'worker' | 'engine';

interface BulkStackOptions {
  model: string;
  modelsDir: string;
  /** Of all services, on top of what they need. */
  env: Record<string, string>;
}

const WORKERS = 2;
/** What `everysec` may lose with the machine, and so what is cut off. */
const EVERYSEC_MS = 1_000;

/** The whole system around one folder of files, each process of which can be killed and comes back. */
export class BulkStack implements AsyncDisposable {
  readonly client: BatchClient;
  readonly batches: BatchStore;
  readonly chunks: ChunkLog;
  readonly folder: string;
  readonly #env: Record<string, string>;
  readonly #redis: TestRedis;
  readonly #commands: Redis;
  readonly #file: AppendOnlyFile;
  readonly #all: ServiceProcess[];
  readonly #undo: AsyncDisposableStack;
  /** Those that live, or are about to. The worker that has lived longest is the first. */
  readonly #living: { api: ServiceProcess; dispatcher: ServiceProcess; workers: ServiceProcess[] };
  readonly #apiPort: number;
  /** Of each kind, until what was killed last is back. */
  readonly #back = new Map<Victim, Promise<unknown>>();

  static async start({ model, modelsDir, env: own }: BulkStackOptions): Promise<BulkStack> {
    const undo = new AsyncDisposableStack();
    try {
      const redis = await startRedis({ appendonly: true, inMemory: true });
      undo.defer(() => redis.stop());
      const folder = await mkdtemp(join(tmpdir(), 'headrace-bulk-chaos-'));
      undo.defer(() => rm(folder, { recursive: true, force: true }));
      const env = {
        REDIS_URL: redis.url,
        HEADRACE_PREFIX: testPrefix(),
        HEADRACE_MODELS_DIR: modelsDir,
        HEADRACE_MODELS: model,
        HEADRACE_DEFAULT_MODEL: model,
        HEADRACE_ENGINES: '1',
        HEADRACE_BLOBS: folder,
        HEADRACE_SWEEP_S: '1',
        ...own,
      };
      const [api, dispatcher, ...workers] = await Promise.all([
        startApi({ env }),
        startDispatcher({ env }),
        ...Array.from({ length: WORKERS }, () => startWorker({ env })),
      ]);
      return new BulkStack({ redis, folder, env, undo, api, dispatcher, workers });
    } catch (error) {
      await undo.disposeAsync();
      throw error;
    }
  }

  private constructor(parts: {
    redis: TestRedis;
    folder: string;
    env: Record<string, string>;
    undo: AsyncDisposableStack;
    api: ServiceProcess & { port: number; url: string };
    dispatcher: ServiceProcess;
    workers: ServiceProcess[];
  }) {
    const { redis, folder, env, undo, api, dispatcher, workers } = parts;
    this.folder = folder;
    this.#env = env;
    this.#redis = redis;
    this.#undo = undo;
    this.#living = { api, dispatcher, workers };
    this.#all = [api, dispatcher, ...workers];
    this.#apiPort = api.port;
    undo.defer(() => Promise.all(this.#all.map((service) => service.stop())).then(() => undefined));
    this.client = new BatchClient(api.url);
    const keys = createKeyspace(env.HEADRACE_PREFIX ?? '');
    const log = createLogger({ service: 'chaos', level: 'silent' });
    this.#commands = connectRedis({ url: redis.url, role: 'worker', name: 'chaos', log });
    undo.defer(() => this.#commands.disconnect());
    this.batches = new BatchStore(this.#commands, keys);
    this.chunks = new ChunkLog(redis.url, keys, bulkQueueName(`${env.HEADRACE_MODELS}@1`));
    undo.defer(() => this.chunks.stop());
    this.#file = new AppendOnlyFile(redis);
    undo.defer(() => this.#file.stop());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#undo.disposeAsync();
  }

  /** Logs of all services that were ever started. */
  logs(): LogRecord[] {
    return this.#all.flatMap((service) => [...service.logs]);
  }

  /** `kill -9` of one that lives; another takes its place, and is not waited for. */
  async kill(victim: Victim): Promise<void> {
    await this.#back.get(victim);
    // It could be the one whose engine is not back yet.
    if (victim === 'worker') await this.#back.get('engine');
    const comeBack = await this.#end(victim);
    const back = comeBack();
    // Whoever needs it next hears why it did not come back.
    back.catch(() => undefined);
    this.#back.set(victim, back);
  }

  /** Resolves when whatever was killed is back. */
  async settled(): Promise<void> {
    await Promise.all(this.#back.values());
  }

  /** `kill -9` of Redis, which comes back at once, with the last second of its file or without. */
  async killRedis({ losesLastSecond = false } = {}): Promise<void> {
    // One that starts meanwhile is ready later than `startWorker` waits for.
    await this.settled();
    await this.#redis.kill9();
    const atMs = Date.now();
    const forgottenMs = losesLastSecond ? await this.#file.loseLast(EVERYSEC_MS) : 0;
    this.chunks.noteKill({ atMs, forgottenMs, ofRedis: true });
    await this.#redis.restart();
  }

  /** Sizes of the files that are being written, by name. */
  async beingWritten(): Promise<Map<string, number>> {
    const folder = join(this.folder, '.tmp');
    const names = await readdir(folder).catch(() => []);
    const sizes = names.map(async (name): Promise<[string, number]> => {
      const size = await stat(join(folder, name)).then(
        (found) => found.size,
        () => 0,
      );
      return [name, size];
    });
    return new Map(await Promise.all(sizes));
  }

  /** @returns what brings another one in its place */
  async #end(victim: Victim): Promise<() => Promise<unknown>> {
    const living = this.#living;
    switch (victim) {
      case 'api':
        await living.api.kill9();
        return async () => {
          const port = String(this.#apiPort);
          living.api = this.#added(await startApi({ env: { ...this.#env, PORT: port } }));
        };
      case 'dispatcher':
        await living.dispatcher.kill9();
        return async () => {
          living.dispatcher = this.#added(await startDispatcher({ env: this.#env }));
        };
      case 'worker':
        await living.workers.shift()?.kill9();
        // What it had sent may be carried out after its end.
        await this.#commands.ping();
        this.chunks.noteKill({ atMs: Date.now(), forgottenMs: 0, ofRedis: false });
        return async () => {
          living.workers.push(this.#added(await startWorker({ env: this.#env })));
        };
      case 'engine':
        return this.#endEngine();
    }
  }

  async #endEngine(): Promise<() => Promise<unknown>> {
    const [worker] = this.#living.workers;
    const [engine] = worker === undefined ? [] : await enginesOf(worker);
    if (worker === undefined || engine === undefined) throw new Error('there is no engine');
    const restarted = nextLog(worker, ({ event }) => event === 'engine.restarted');
    process.kill(engine, 'SIGKILL');
    return () => restarted;
  }

  #added(service: ServiceProcess): ServiceProcess {
    this.#all.push(service);
    return service;
  }
}
