import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseRedisUrl, startRedisProcess } from '../../scripts/redis/redis-process.mjs';

export interface TestRedisOptions {
  /** Keep an append-only file (`everysec`), so that data outlives `kill9` and `restart`. */
  appendonly?: boolean;
  /** Listen on a loopback port instead of a unix socket; 0 for a free one. */
  port?: number;
  /** Limit in bytes; the policy is always `noeviction`. */
  maxmemory?: number;
  /**
   * Keep its files in memory, if there is a disk of it. On a slow disk Redis (everysec) answers for up
   * to two seconds before it writes, while the last sync is still going on: a kill then loses what
   * was answered, as a power cut does.
   */
  inMemory?: boolean;
  /** Further settings, as in redis.conf. */
  settings?: Record<string, string>;
}

export interface TestRedis {
  /** `unix:///…/redis.sock`, or `redis://127.0.0.1:<port>`; the same after a restart. */
  readonly url: string;
  /** Of its append-only file. */
  readonly folder: string;
  /** Of the running server; changes with `restart`. */
  readonly pid: number;
  /** SIGTERM, then its folder is removed. Idempotent; call it in `after()`. */
  stop(): Promise<void>;
  /** SIGKILL; resolves when it is gone. `restart()` brings it back with its append-only file. */
  kill9(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** Stops it if it runs, starts it again on the same address and folder; ready on return. */
  restart(): Promise<void>;
}

/**
 * A real Redis for one test file, in a temporary folder of its own. It ends with the test process,
 * however that ends. Tests that share it keep apart by `testPrefix()`.
 *
 *     const redis = await startRedis();
 *     after(() => redis.stop());
 *
 * The server is `$REDIS_SERVER`, which `npm test` sets, else `redis-server` in the PATH.
 */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const folder = mkdtempSync(join(options.inMemory ? quickDisk() : tmpdir(), 'headrace-'));
  const start = {
    binary: process.env.REDIS_SERVER || 'redis-server',
    folder,
    url: await chooseRedisUrl(folder, options.port ?? null),
    settings: toSettings(options),
  };
  let server = await startRedisProcess(start);
  // A paused server does not see SIGTERM before it goes on.
  const stopServer = () => {
    signal(server.pid, 'SIGCONT');
    return server.stop();
  };
  return {
    url: start.url,
    folder,
    get pid() {
      return server.pid;
    },
    stop: async () => {
      await stopServer();
      rmSync(folder, { recursive: true, force: true });
    },
    kill9: () => server.kill(),
    pause: () => signal(server.pid, 'SIGSTOP'),
    resume: () => signal(server.pid, 'SIGCONT'),
    restart: async () => {
      await stopServer();
      server = await startRedisProcess(start);
    },
  };
}

/** A key prefix that no other test has, in the form that HEADRACE_PREFIX takes. */
export function testPrefix(): string {
  return `{test-${randomBytes(6).toString('hex')}}`;
}

function toSettings(options: TestRedisOptions): Record<string, string> {
  const { appendonly = false, maxmemory, settings } = options;
  return {
    appendonly: appendonly ? 'yes' : 'no',
    appendfsync: 'everysec',
    ...(maxmemory === undefined ? {} : { maxmemory: String(maxmemory) }),
    ...settings,
  };
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

const MEMORY_DISK = '/dev/shm';
const LEAST_BYTES = 2 ** 30;

function quickDisk(): string {
  if (!existsSync(MEMORY_DISK)) return tmpdir();
  const { bavail, bsize } = statfsSync(MEMORY_DISK);
  return bavail * bsize >= LEAST_BYTES ? MEMORY_DISK : tmpdir();
}
