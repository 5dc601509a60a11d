import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Provider } from '../../apps/worker/src/inference/providers/provider.ts';

/** What every provider must ask of ONNX Runtime, whatever the device. */
export function testProvider(name: string, provider: Provider): void {
  describe(`provider ${name}`, () => {
    test('has the name that it is registered under', () => {
      assert.equal(provider.name, name);
    });

    test('asks for its own execution provider first', () => {
      const [first] = provider.sessionOptions({ threads: 1, deviceId: 0 }).executionProviders ?? [];
      assert.equal(typeof first === 'object' ? first.name : first, name);
    });

    test('bounds the threads that operators on the CPU take, and lets none of them spin', () => {
      const options = provider.sessionOptions({ threads: 3, deviceId: 0 });
      assert.equal(options.intraOpNumThreads, 3);
      assert.equal(options.interOpNumThreads, 1);
      assert.deepEqual(options.extra, {
        session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } },
      });
    });

    test('keeps no memory pattern for shapes that come once', () => {
      assert.equal(provider.sessionOptions({ threads: 1, deviceId: 0 }).enableMemPattern, false);
    });

    test('refuses a thread count that leaves the choice to ONNX Runtime', () => {
      for (const threads of [0, -1, 1.5, Number.NaN]) {
        assert.throws(() => provider.sessionOptions({ threads, deviceId: 0 }), RangeError);
      }
    });

    test('sets variables that any process may have', () => {
      for (const [key, value] of Object.entries(provider.environment)) {
        assert.match(key, /^[A-Z][A-Z0-9_]*$/);
        assert.equal(typeof value, 'string');
      }
    });

    test('gives options that survive the way to another process', () => {
      const options = provider.sessionOptions({ threads: 1, deviceId: 0 });
      assert.deepEqual(structuredClone(options), options);
    });
  });
}
