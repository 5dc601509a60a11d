import { setTimeout as sleep } from 'node:timers/promises';
import type { NullEngineSpec } from './protocol.ts';
import type { Runner } from './runner.ts';

/**
 * Zeros of the right width: what is left to measure is everything but the model. At once, or after
 * the time that a device of a given speed would take, which costs this machine nothing: so many
 * devices can be played on one machine.
 */
export function createNullRunner({ width, cellsPerS }: NullEngineSpec): Runner {
  return async ({ lengths }) => {
    const beganMs = performance.now();
    if (cellsPerS > 0) await sleep((lengths.length * Math.max(...lengths) * 1000) / cellsPerS);
    return {
      values: new Float32Array(lengths.length * width),
      nonFinite: null,
      inferMs: cellsPerS > 0 ? performance.now() - beganMs : 0,
    };
  };
}
