import { setFlagsFromString } from 'node:v8';

/**
 * Lets a heap grow to twice what lives in it before it is swept, where V8 waits for four times as
 * much. Rows of batches live just long enough to leave the young generation, so without it their
 * garbage is most of the memory of a process. Call it once, as the process starts.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=100');
}

/**
 * Keeps the young generation at the size that it has, where V8 lets it grow to 128 MiB while rows
 * are read. Sweeping it more often costs a seventh more time for reading. Loading modules lets it
 * grow, too: call it before that.
 */
export function keepNewSpaceSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
