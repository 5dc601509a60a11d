import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLogger } from '@headrace/shared/logger.ts';
import { createMetrics } from '@headrace/shared/metrics.ts';
import { ActivityMeter } from '../../apps/worker/src/inference/activity-meter.ts';
import { Pipeline } from '../../apps/worker/src/inference/pipeline.ts';
import { ServedModel } from '../../apps/worker/src/served-model.ts';

/** A model whose loading ends when the test says so. */
function createModel() {
  const loading = Promise.withResolvers<Pipeline>();
  const events: string[] = [];
  const consumer = {
    start: () => void events.push('takes jobs'),
    isMoving: () => true,
    stop: async () => void events.push('gives back'),
  };
  const metrics = createMetrics();
  const model = new ServedModel({
    runtime: {
      ...{ ref: 'm@1', variant: 'v', healthy: true, tokensPerSecond: null },
      activity: new ActivityMeter().read({ all: 1, ready: 0 }),
      speed: { tokensPerSecond: null, rowsPerSecond: null, paddingRatio: null },
      start: () => loading.promise,
      stop: async () => undefined,
    },
    createConsumers: () => [consumer],
    metrics,
    log: createLogger({ service: 'test', level: 'silent' }),
  });
  const loaded = () => loading.resolve(Object.create(Pipeline.prototype));
  return { model, events, loaded, [Symbol.dispose]: () => metrics.stop() };
}

describe('a model of a worker', () => {
  test('takes jobs when it is loaded, and gives them back when it drains', async () => {
    using it = createModel();
    const started = it.model.start();
    it.loaded();
    await started;
    await it.model.drain(1_000);
    assert.deepEqual(it.events, ['takes jobs', 'gives back']);
  });

  test('takes none when its worker was told to stop while it was loading', async () => {
    using it = createModel();
    const started = it.model.start();
    await it.model.drain(1_000);
    it.loaded();
    await started;
    assert.deepEqual(it.events, []);
    assert.notEqual(it.model.missing, null);
  });
});
