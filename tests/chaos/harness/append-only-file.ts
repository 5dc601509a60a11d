import { readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestRedis } from '../../helpers/redis.ts';

const SAMPLE_MS = 50;

interface Sample {
  path: string;
  bytes: number;
  atMs: number;
}

/**
 * Looks how a Redis' append-only file grows, so that its end can be cut off. A `kill -9` loses
 * nothing that the kernel has; a machine that loses its power loses what `everysec` has not synced.
 */
export class AppendOnlyFile {
  readonly #folder: string;
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(redis: TestRedis) {
    this.#folder = redis.folder;
    this.#timer = setInterval(() => void this.#look().catch(() => undefined), SAMPLE_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Call it while Redis is dead. @returns of how many milliseconds, `ms` or a little more */
  async loseLast(ms: number): Promise<number> {
    const killedMs = Date.now();
    const path = await this.#path();
    const isKept = (sample: Sample) => sample.path === path && sample.atMs <= killedMs - ms;
    const kept = this.#samples.findLast(isKept);
    if (kept === undefined) throw new Error('the file is younger than that');
    await truncate(path, kept.bytes);
    return killedMs - kept.atMs;
  }

  async #look(): Promise<void> {
    const path = await this.#path();
    const { size: bytes } = await stat(path);
    this.#samples.push({ path, bytes, atMs: Date.now() });
  }

  /** Since Redis 7 it is a folder of files, and the last increment is the one that grows. */
  async #path(): Promise<string> {
    const folder = join(this.#folder, 'appendonlydir');
    const names = await readdir(folder).catch(() => null);
    if (names === null) return join(this.#folder, 'appendonly.aof');
    const increments = names.filter((name) => name.endsWith('.incr.aof'));
    const number = (name: string) => Number(name.split('.').at(-3));
    increments.sort((a, b) => number(a) - number(b));
    return join(folder, increments.at(-1) ?? '');
  }
}
