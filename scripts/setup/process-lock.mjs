import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning } from './process-table.mjs';

/**
 * Takes a lock that dies with its holder: a folder that names the holder's pid, moved into place in
 * one step, so that nobody ever sees it without its owner.
 * @param {string} folder
 * @returns {{ release: () => void } | { heldBy: number }}
 */
export function tryLock(folder) {
  const mine = `${folder}.${process.pid}`;
  rmSync(mine, { recursive: true, force: true });
  mkdirSync(mine, { recursive: true });
  const script = basename(process.argv[1] ?? '');
  writeFileSync(join(mine, 'owner.json'), JSON.stringify({ pid: process.pid, script }));
  for (;;) {
    if (moveTo(mine, folder)) return { release: () => release(folder) };
    const owner = readOwner(folder);
    if (owner && isRunning(owner.pid, owner.script)) {
      rmSync(mine, { recursive: true, force: true });
      return { heldBy: owner.pid };
    }
    clearStale(folder);
  }
}

/**
 * Runs `work` while holding the lock; waits for another process that holds it.
 * @template Result
 * @param {string} folder
 * @param {() => Promise<Result>} work
 */
export async function withLock(folder, work) {
  let lock = tryLock(folder);
  while (!('release' in lock)) {
    await sleep(200);
    lock = tryLock(folder);
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** @param {string} folder */
function release(folder) {
  if (readOwner(folder)?.pid !== process.pid) return;
  // Moved away first: a removal in two steps could take away the next holder's lock.
  const old = `${folder}.released-${process.pid}`;
  if (moveTo(folder, old)) rmSync(old, { recursive: true, force: true });
}

/** @param {string} folder */
function clearStale(folder) {
  const stale = `${folder}.stale-${process.pid}`;
  if (!moveTo(folder, stale)) return;
  const owner = readOwner(stale);
  // Another process may have cleared it and locked anew in between: give that lock back.
  if (owner && isRunning(owner.pid, owner.script)) moveTo(stale, folder);
  else rmSync(stale, { recursive: true, force: true });
}

/**
 * @param {string} from
 * @param {string} to
 */
function moveTo(from, to) {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOENT') return false;
    throw error;
  }
}

/**
 * @param {string} folder
 * @returns {{ pid: number, script: string } | null}
 */
function readOwner(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, 'owner.json'), 'utf8'));
  } catch {
    return null;
  }
}
