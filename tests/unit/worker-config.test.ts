import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '@headrace/shared/env.ts';
import { modelRef, readModelsDir } from '@headrace/shared/manifests.ts';
import { parseWorkerConfig } from '../../apps/worker/src/config.ts';
import { SpeedMeter } from '../../apps/worker/src/inference/speed-meter.ts';
import { chooseModels } from '../../apps/worker/src/model-choice.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/models', import.meta.url));

describe('worker configuration', () => {
  test('has a default for everything', () => {
    const config = parseWorkerConfig({});
    assert.ok(config.engines >= 1);
    assert.equal(config.tokenBudget, 512);
    assert.equal(config.models, null);
  });

  test('gives a GPU one engine and a large budget', () => {
    const config = parseWorkerConfig({ HEADRACE_PROVIDER: 'cuda' });
    assert.equal(config.engines, 1);
    assert.equal(config.tokenBudget, 16_384);
  });

  test('reads models with version and variant', () => {
    const { models } = parseWorkerConfig({ HEADRACE_MODELS: 'minilm,sentiment@2:s8' });
    assert.deepEqual(models, [
      { name: 'minilm', version: null, variant: null },
      { name: 'sentiment', version: '2', variant: 's8' },
    ]);
  });

  test('refuses what it cannot read', () => {
    assert.throws(() => parseWorkerConfig({ HEADRACE_ENGINES: 'many' }), ConfigError);
    assert.throws(() => parseWorkerConfig({ HEADRACE_MODELS: 'a@b@c' }), ConfigError);
  });
});

describe('choice of models', () => {
  test('is every model in its default variant when nothing is said', async () => {
    const { folders } = await readModelsDir(FIXTURES);
    const chosen = chooseModels(folders, null);
    assert.deepEqual(
      chosen.map(({ folder }) => modelRef(folder.manifest)),
      folders.map(({ manifest }) => modelRef(manifest)),
    );
    assert.ok(chosen.every(({ variant }) => variant === 'fp32'));
  });

  test('names the model that does not exist', async () => {
    const { folders } = await readModelsDir(FIXTURES);
    const choice = { name: 'tiny-classifier', version: '9', variant: null };
    assert.throws(() => chooseModels(folders, [choice]), /tiny-classifier@9/);
  });
});

test('the speed meter forgets what is older than a minute', () => {
  let now = 0;
  const meter = new SpeedMeter(() => now);
  assert.equal(meter.read().tokensPerSecond, null);
  meter.add({ rows: 2, tokens: 90, cells: 100, inferMs: 100 });
  assert.deepEqual(meter.read(), { tokensPerSecond: 900, rowsPerSecond: 20, paddingRatio: 0.1 });
  now = 70_001;
  assert.equal(meter.read().paddingRatio, null);
  for (let i = 0; i < 20; i++) {
    now += 10_000;
    meter.add({ rows: 1, tokens: 10, cells: 10, inferMs: 10 });
  }
  assert.equal(meter.read().tokensPerSecond, 1_000);
});
