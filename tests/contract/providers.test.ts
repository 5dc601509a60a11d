import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isProviderName, PROVIDERS } from '../../apps/worker/src/inference/providers/index.ts';
import { testProvider } from './provider.suite.ts';

for (const [name, provider] of Object.entries(PROVIDERS)) testProvider(name, provider);

test('a name is a provider only if it is registered', () => {
  assert.ok(isProviderName('cuda'));
  assert.ok(!isProviderName('toString'));
  assert.ok(!isProviderName('tpu'));
});

test('cuda asks for the device that it is told', () => {
  const { executionProviders } = PROVIDERS.cuda.sessionOptions({ threads: 1, deviceId: 2 });
  assert.deepEqual(executionProviders, [{ name: 'cuda', deviceId: 2 }]);
});

test('cuda refuses a device that cannot be', () => {
  for (const deviceId of [-1, 0.5, Number.NaN]) {
    assert.throws(() => PROVIDERS.cuda.sessionOptions({ threads: 1, deviceId }), RangeError);
  }
});

test('cpu has no use for the device', () => {
  const [first, second] = [0, 5].map((deviceId) =>
    PROVIDERS.cpu.sessionOptions({ threads: 1, deviceId }),
  );
  assert.deepEqual(first, second);
});

test('cuda multiplies in whole fp32, which no session option of the binding could ask for', () => {
  assert.equal(PROVIDERS.cuda.environment.NVIDIA_TF32_OVERRIDE, '0');
  assert.deepEqual(PROVIDERS.cpu.environment, {});
});
