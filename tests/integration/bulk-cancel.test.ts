import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openBlobStore } from '@headrace/shared/blobs/index.ts';
import { BatchDefinitionSchema } from '@headrace/shared/bulk/batch.ts';
import { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { oneModel } from '@headrace/shared/bulk/one-model.ts';
import { fileBlobKey } from '@headrace/shared/files.ts';
import { newBatchId, newFileId } from '@headrace/shared/ids.ts';
import { createInputs } from '@headrace/shared/inputs/index.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { readModelsDir } from '@headrace/shared/manifests.ts';
import { createMetrics } from '@headrace/shared/metrics.ts';
import { createModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import { bulkQueueName, type ChunkPayload, createKeyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import { Queue, QueueEvents } from 'bullmq';
import { BulkConsumer } from '../../apps/worker/src/consumers/bulk.ts';
import { Batcher, type BatchRunner } from '../../apps/worker/src/inference/batcher.ts';
import type { BatchOutcome } from '../../apps/worker/src/inference/engine/tensor-batch.ts';
import { Pipeline } from '../../apps/worker/src/inference/pipeline.ts';
import { TINY_MODELS } from '../helpers/api.ts';
import { jobLines } from '../helpers/batch-client.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const MODEL = 'tiny-classifier@1';
const ROWS = 400;
const LIMITS = { tokenBudget: 40, overheadCells: 4 };

/** An engine that runs one batch, has one prepared, and answers none until it is told to. */
class HeldRunner implements BatchRunner {
  onFree: (() => void) | null = null;
  /** Of all batches so far. */
  runs = 0;
  readonly held = Promise.withResolvers<void>();
  readonly #answers: (() => void)[] = [];

  get freeSlots(): number {
    return 2 - this.#answers.length;
  }

  get idleEngines(): number {
    return this.#answers.length === 0 ? 1 : 0;
  }

  run({ encodings }: { encodings: unknown[] }): Promise<BatchOutcome> {
    this.runs += 1;
    const { promise, resolve } = Promise.withResolvers<BatchOutcome>();
    const outcomes = encodings.map(() => ({ ok: true as const, values: Float32Array.of(0, 1) }));
    this.#answers.push(() => resolve({ outcomes, inferMs: 1 }));
    if (this.#answers.length === 2) this.held.resolve();
    return promise;
  }

  answerAll(): void {
    for (const answer of this.#answers.splice(0)) answer();
    this.onFree?.();
  }
}

let server: TestRedis;
const folder = mkdtempSync(join(tmpdir(), 'headrace-cancel-'));
before(async () => {
  server = await startRedis();
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const tokenized = () => ({
  ...{ encodings: [{ ids: new Int32Array(10), typeIds: null }], tokens: 10, truncated: false },
});

/** A batch of one chunk, handed out. */
async function handOut(deps: { store: BatchStore; queue: Queue }): Promise<string> {
  const blobs = await openBlobStore(folder);
  const input = newFileId(Date.now());
  const content = Buffer.from(jobLines(ROWS));
  const body = (async function* () {
    yield content;
  })();
  await blobs.put(fileBlobKey(input), body);
  const id = newBatchId(Date.now());
  const definition = {
    ...{ v: 1, id, tenant: 'default', endpoint: '/v1/jobs', metadata: {}, input_file_id: input },
    ...{ completion_window: '24h', created_ms: Date.now(), expires_ms: Date.now() + 3_600_000 },
  };
  await deps.store.create(BatchDefinitionSchema.parse(definition), { maxLive: 100 });
  const fields = { model: MODEL, total: ROWS, chunks: 1, next_chunk: 1 };
  await deps.store.move(id, { from: ['validating'], to: 'in_progress', fields });
  const chunk: ChunkPayload = {
    ...{ v: 1, batch: id, index: 0, start_byte: 0, end_byte: content.length, first_line: 1 },
    ...{ rows: ROWS, duplicates: [] },
  };
  await deps.queue.add('chunk', chunk, { jobId: `${id}-0`, priority: 1 });
  return id;
}

test('a batch that is cancelled has no more runs than the engines hold', async (t) => {
  const prefix = testPrefix();
  const log = createLogger({ service: 'test', level: 'silent' });
  const redis = connectRedis({ url: server.url, role: 'worker', name: 'test', log });
  const { folders } = await readModelsDir(TINY_MODELS);
  const models = createModelCatalogue(folders, '');
  const runner = new HeldRunner();
  const batcher = new Batcher({
    ...{ runner, ...LIMITS, maxQueueDelayMs: 60_000, runTimeoutMs: 60_000, onBatch: () => {} },
  });
  const pipeline = new Pipeline({
    ...{ batcher, limits: LIMITS, task: models.resolve(MODEL).task },
    tokenize: async () => tokenized(),
    tokenizeAll: async (rows) => rows.map(tokenized),
  });
  const store = new BatchStore(redis, createKeyspace(prefix));
  const queueName = bulkQueueName(MODEL);
  const queue = new Queue(queueName, { connection: redis, prefix });
  const events = new QueueEvents(queueName, { connection: redis, prefix });
  const blobs = await openBlobStore(folder);
  const metrics = createMetrics();
  const consumer = new BulkConsumer({
    ...{ model: MODEL, variant: 'fp32', prefix, redis, blobs, batches: store, log, pipeline },
    metrics,
    inputs: createInputs({ blobs, blobsUrl: folder, allowed: undefined }),
    resolve: oneModel(models, () => MODEL),
    ...{ chunks: 2, rowTimeoutMs: 60_000 },
  });
  t.after(async () => {
    await consumer.stop(0);
    await Promise.all([queue.close(), events.close()]);
    batcher.stop();
    redis.disconnect();
    metrics.stop();
  });
  await events.waitUntilReady();
  consumer.start();
  const id = await handOut({ store, queue });
  await runner.held.promise;

  // Nothing but its own look at the batch, once a second, tells the worker.
  const given = once(events, 'completed');
  await store.move(id, { from: ['in_progress'], to: 'cancelling' });
  await given;
  runner.answerAll();
  await batcher.tick();
  assert.equal(runner.runs, 2);
  assert.deepEqual(await store.parts(id, 0, 1), [null]);
});
