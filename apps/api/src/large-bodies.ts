import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bodies up to this size are left to V8's own reckoning. */
export const SMALL_BYTES = 65_536;
/** Large bodies after which their garbage is collected; that takes about as long as to read them. */
const BYTES_A_COLLECTION = 8 * 2 ** 20;

let bytes = 0;

/**
 * Counts a large body that has been read, and now and then collects what is left of those before.
 * V8 lets the texts of hundreds of them become old before it looks at any: a process that is sent
 * nothing but large bodies would grow by 200 MiB.
 */
export function countLargeBody(length: number): void {
  bytes += length;
  if (bytes < BYTES_A_COLLECTION) return;
  bytes = 0;
  setImmediate(collectGarbage);
}

/** Node gives it away only to those who ask with a flag. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof gc === 'function') gc();
}
