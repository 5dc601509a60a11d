import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { TINY_MODELS } from './api.ts';
import {
  type ApiProcess,
  type ServiceProcess,
  startApi,
  startDispatcher,
  startWorker,
} from './processes.ts';
import { startRedis, testPrefix } from './redis.ts';

/** Redis, API, dispatcher and worker, each a process of its own, around one folder of files. */
export interface BulkSystem {
  /** The official client, as it comes. */
  client: OpenAI;
  apiUrl: string;
  env: Record<string, string>;
  /** The folder of files. */
  folder: string;
  api: ApiProcess;
  dispatcher: ServiceProcess;
  worker: ServiceProcess;
  stop(): Promise<void>;
}

/** @param env on top of a configuration with two tiny models */
export async function startBulkSystem(env: Record<string, string> = {}): Promise<BulkSystem> {
  const redis = await startRedis({ appendonly: true });
  const folder = mkdtempSync(join(tmpdir(), 'headrace-bulk-'));
  const shared = {
    REDIS_URL: redis.url,
    HEADRACE_PREFIX: testPrefix(),
    HEADRACE_MODELS_DIR: TINY_MODELS,
    HEADRACE_MODELS: 'tiny-classifier,tiny-embedder',
    HEADRACE_DEFAULT_MODEL: 'tiny-classifier',
    HEADRACE_ENGINES: '1',
    HEADRACE_BLOBS: folder,
    ...env,
  };
  const [api, worker, dispatcher] = await Promise.all([
    startApi({ env: shared }),
    startWorker({ env: shared }),
    startDispatcher({ env: shared }),
  ]);
  const system: BulkSystem = {
    client: new OpenAI({ apiKey: 'none', baseURL: `${api.url}/v1` }),
    apiUrl: api.url,
    env: shared,
    ...{ folder, api, dispatcher, worker },
    async stop() {
      // Those that run now: a test may have started them anew.
      await Promise.all([api.stop(), system.worker.stop(), system.dispatcher.stop()]);
      await redis.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return system;
}
