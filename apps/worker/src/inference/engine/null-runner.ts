import type { NullEngineSpec } from './protocol.ts';
import type { Runner } from './runner.ts';

/** Zeros of the right width, at once: what is left to measure is everything but the model. */
export function createNullRunner(spec: NullEngineSpec): Runner {
  return async ({ lengths }) => ({
    values: new Float32Array(lengths.length * spec.width),
    nonFinite: null,
    inferMs: 0,
  });
}
