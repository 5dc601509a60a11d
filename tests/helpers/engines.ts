import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createLogger } from '@headrace/shared/logger.ts';
import { type ModelFolder, readModelsDir } from '@headrace/shared/manifests.ts';
import { Tokenizer } from '@huggingface/tokenizers';
import type { Encoding } from '../../apps/worker/src/inference/encoding.ts';
import {
  EnginePool,
  type EnginePoolOptions,
} from '../../apps/worker/src/inference/engine/engine-pool.ts';
import type { RestartReason } from '../../apps/worker/src/inference/engine/engine-seat.ts';
import type { TensorBatch } from '../../apps/worker/src/inference/engine/tensor-batch.ts';
import { engineSpecOf } from '../../apps/worker/src/inference/engine-spec.ts';
import { verifyModel } from '../../apps/worker/src/inference/models.ts';
import { cpu } from '../../apps/worker/src/inference/providers/cpu.ts';

export const TINY_MODELS = fixtures('models');
export const BROKEN_MODELS = fixtures('broken-models');
export const BUNDLED_MODELS = fileURLToPath(new URL('../../models', import.meta.url));

/** Far beyond any run of a tiny model, also on a busy machine. */
export const AMPLE_MS = 60_000;

/** The crash of the fixtures is a division that traps on this architecture only. */
export const NO_CRASH = process.arch === 'x64' ? false : 'the crash marker works on x86-64 only';

function fixtures(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}

export async function modelFolder(dir: string, name: string): Promise<ModelFolder> {
  const { folders } = await readModelsDir(dir);
  const folder = folders.find(({ manifest }) => manifest.name === name);
  if (folder === undefined) throw new Error(`no model ${name} in ${dir}`);
  return folder;
}

export interface TestPool {
  pool: EnginePool;
  /** Why engines ended, in order. */
  restarts: RestartReason[];
  /** The ids of a text, as the model's own tokenizer gives them. */
  encode: (text: string) => Encoding;
}

/** A started pool, see `preparePool`; it stops with the test. */
export async function startPool(
  t: TestContext,
  model: string | ModelFolder,
  options: Partial<EnginePoolOptions> = {},
): Promise<TestPool> {
  const prepared = await preparePool(model, options);
  t.after(() => prepared.pool.stop());
  await prepared.pool.start();
  return prepared;
}

/** A pool with one engine, unless `options` say otherwise. A name is that of a tiny model. */
export async function preparePool(
  model: string | ModelFolder,
  options: Partial<EnginePoolOptions> = {},
): Promise<TestPool> {
  const folder = typeof model === 'string' ? await modelFolder(TINY_MODELS, model) : model;
  const restarts: RestartReason[] = [];
  const verified = await verifyModel(folder, folder.manifest.default_variant);
  const pool = new EnginePool({
    spec: engineSpecOf(verified, cpu, { threads: 1, deviceId: 0 }),
    engines: 1,
    niceness: 0,
    startTimeoutMs: AMPLE_MS,
    log: createLogger({ service: 'test', level: 'silent' }),
    onRestart: (reason) => restarts.push(reason),
    ...options,
  });
  return { pool, restarts, encode: await readEncoder(folder) };
}

/** Encodes as the model's own tokenizer does, without truncation. */
export async function readEncoder(folder: ModelFolder): Promise<(text: string) => Encoding> {
  const file = await readFile(join(folder.dir, 'tokenizer.json'), 'utf8');
  const tokenizer = new Tokenizer(JSON.parse(file), {});
  return (text) => ({ ids: Int32Array.from(tokenizer.encode(text).ids), typeIds: null });
}

export function batchOf(encodings: Encoding[]): TensorBatch {
  return { encodings, longest: encodings.reduce((a, { ids }) => Math.max(a, ids.length), 0) };
}

/** The next call of `onFree`: a batch was answered, or an engine came back. */
export function nextFree(pool: EnginePool): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  pool.onFree = () => resolve();
  return promise;
}

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
