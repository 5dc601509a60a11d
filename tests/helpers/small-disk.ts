import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A disk that a test can fill. */
export interface SmallDisk {
  folder: string;
  /** From now on there is no room. */
  fill(): void;
  /** Room again. */
  free(): void;
  remove(): void;
}

const BYTES = 16 * 1024 * 1024;

/** @returns null where this user may not mount one */
export function mountSmallDisk(): SmallDisk | null {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-disk-'));
  const mount = ['-t', 'tmpfs', '-o', `size=${BYTES},mode=0700`, 'headrace-test', folder];
  if (spawnSync('mount', mount).status !== 0) {
    rmSync(folder, { recursive: true });
    return null;
  }
  const ballast = join(folder, '.ballast');
  return {
    folder,
    fill() {
      const file = openSync(ballast, 'a');
      fillUp(file);
      closeSync(file);
    },
    free: () => unlinkSync(ballast),
    remove() {
      spawnSync('umount', [folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Down to the last byte. */
function fillUp(file: number): void {
  for (let piece = Buffer.alloc(1024 * 1024); piece.length > 0; ) {
    try {
      writeSync(file, piece);
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOSPC') throw error;
      piece = piece.subarray(0, piece.length / 2);
    }
  }
}

/**
 * Processes that can write to no file from now on, as a quota would have it; pipes go on.
 * @returns false where that is not possible
 */
export function setWritable(pids: number[], isWritable: boolean): boolean {
  const soft = isWritable ? 'unlimited' : '0';
  return pids.every((pid) => {
    const limit = ['--pid', String(pid), `--fsize=${soft}:unlimited`];
    return spawnSync('prlimit', limit).status === 0;
  });
}
