import { readFileSync } from 'node:fs';
import { Redis, type RedisOptions } from 'ioredis';
import { AppError } from './errors.ts';
import { createThrottle, type Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import { parseRedisUrl } from './redis/address.ts';
import { createClusterRoute } from './redis/cluster-route.ts';

/**
 * `request`: fails at once while Redis is away, so that an HTTP caller gets its 503 in time.
 * `worker`: keeps commands until Redis is back, so that no finished result is lost.
 */
export type RedisRole = 'request' | 'worker';

const REQUEST_TIMEOUT_MS = 900;
const MAX_RETRY_DELAY_MS = 500;

/**
 * A network that drops packets tells nobody: the kernel sends again for a quarter of an hour, and
 * the later the more seldom. So a connection on which an answer is due for this long is given up.
 */
const SILENT_MS = {
  request: 3_000,
  /** BullMQ waits for a job for up to 10 s in one command. */
  worker: 12_000,
} satisfies Record<RedisRole, number>;
/** A connection that only listens has no answer due. The kernel asks ten times, once a second. */
const ASK_WHEN_IDLE_MS = 5_000;

const ROLE_OPTIONS = {
  request: {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: REQUEST_TIMEOUT_MS,
    socketTimeout: SILENT_MS.request,
  },
  worker: { maxRetriesPerRequest: null, socketTimeout: SILENT_MS.worker },
} satisfies Record<RedisRole, Partial<RedisOptions>>;

interface ConnectionOptions {
  url: string;
  role: RedisRole;
  name: string;
  log: Logger;
}

/** The server does not take the command, but another one does, or this one in a moment. */
const NOT_HERE = /READONLY|CLUSTERDOWN|TRYAGAIN|\bASK\b/;

/** Opens a connection that reconnects within half a second, after a failover too. */
export function connectRedis({ url, role, name, log }: ConnectionOptions): Redis {
  const { options, cluster, tls } = parseRedisUrl(url);
  const route = cluster && createClusterRoute(cluster, tls);
  const redis = new CorkedRedis({
    ...options,
    ...(route ? { Connector: route.Connector } : {}),
    ...ROLE_OPTIONS[role],
    connectionName: `headrace-${name}`,
    // Beside the name, two more commands for each connection, and two more rights.
    disableClientInfo: true,
    connectTimeout: 2_000,
    keepAlive: ASK_WHEN_IDLE_MS,
    retryStrategy: (times: number) => Math.min(50 * 2 ** Math.min(times, 5), MAX_RETRY_DELAY_MS),
    // A master that became a replica refuses writes, and a node of a cluster knows who has our
    // slot: connect anew, and send the command again where the role keeps commands.
    reconnectOnError: ({ message }: Error) =>
      route?.follow(message) || NOT_HERE.test(message) ? reconnect(role) : false,
  });
  logOutages(redis, name, log);
  return redis;
}

/** Tells in the metrics whether a connection stands, from now on. */
export function watchConnection({ gauges }: Metrics, redis: Redis): void {
  const tell = () => gauges.redis_connected.set(redis.status === 'ready' ? 1 : 0);
  for (const event of ['ready', 'close']) redis.on(event, tell);
  tell();
}

/** Of an outage one error is said at once and one every half minute, and that it is over. */
const ERROR_AGAIN_MS = 30_000;

function logOutages(redis: Redis, connection: string, log: Logger): void {
  const throttle = createThrottle(ERROR_AGAIN_MS);
  let saidMs: number | null = null;
  redis.on('error', (err) => {
    throttle('error', (swallowed) => {
      saidMs ??= Date.now();
      log.warn({ event: 'redis.error', connection, err, swallowed }, 'redis error');
    });
  });
  redis.on('ready', () => {
    if (saidMs === null) return;
    const ms = Date.now() - saidMs;
    saidMs = null;
    log.info({ event: 'redis.back', connection, ms }, 'redis is back');
  });
}

/** With more commands in a write Redis idles until it comes, and then we until it has answered. */
const COMMANDS_A_WRITE = 8;

/**
 * Commands of one turn of the event loop leave together, up to eight in one write. A system call
 * for each would be the largest single cost of a job in API and worker.
 */
class CorkedRedis extends Redis {
  #commands = 0;

  override sendCommand(...args: Parameters<Redis['sendCommand']>): unknown {
    const stream = this.stream;
    if (!stream) return super.sendCommand(...args);
    if (stream.writableCorked === 0) {
      this.#commands = 0;
      stream.cork();
      // The stream that was corked, even if the connection has another one by then.
      process.nextTick(() => stream.uncork());
    }
    const reply = super.sendCommand(...args);
    this.#commands += 1;
    if (this.#commands === COMMANDS_A_WRITE) stream.uncork();
    return reply;
  }
}

function reconnect(role: RedisRole): 1 | 2 {
  return role === 'worker' ? 2 : 1;
}

/** Stands for the content of `scripts/<name>.lua`, which several scripts share. */
const INCLUDE = /^-- @include (\S+)$/gm;

function readScript(name: string): string {
  const lua = readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
  return lua.replace(INCLUDE, (_, included: string) => readScript(included));
}

/** Loads `scripts/<name>.lua` as the command `name` of a connection; sent by its SHA-1. */
export function defineScript(
  redis: Redis,
  name: string,
): (args: (string | number)[]) => Promise<unknown> {
  redis.defineCommand(name, { lua: readScript(name) });
  const command: unknown = Reflect.get(redis, name);
  if (typeof command !== 'function') throw new Error(`script ${name} could not be defined`);
  return (args) => command.apply(redis, args);
}

export interface MemoryUse {
  usedBytes: number;
  /** 0 when Redis has no limit. */
  maxBytes: number;
}

export async function memoryUse(redis: Redis): Promise<MemoryUse> {
  const info = await redis.info('memory');
  return {
    usedBytes: Number(/^used_memory:(\d+)/m.exec(info)?.[1] ?? 0),
    maxBytes: Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0),
  };
}

/** Share of `maxmemory` that Redis uses, 0 to 1; 0 when Redis has no limit. */
export function memoryRatio({ usedBytes, maxBytes }: MemoryUse): number {
  return maxBytes === 0 ? 0 : usedBytes / maxBytes;
}

const AWAY = new RegExp(
  [
    ...['Connection is closed', "isn't writeable", 'Command timed out', 'max retries per request'],
    ...['Socket timeout', 'aborted due to connection close', 'ETIMEDOUT', 'EHOSTUNREACH'],
    ...['READONLY', 'LOADING', 'MASTERDOWN', 'ECONN', 'EPIPE', 'ENOENT'],
    ...['MOVED', 'CLUSTERDOWN', 'TRYAGAIN', '\\bASK\\b'],
  ].join('|'),
);

/** What a failure of Redis means to a caller; null when the error is not one of Redis. */
export function redisFailure(error: unknown): AppError | null {
  if (!(error instanceof Error)) return null;
  const text = `${error.name} ${error.message}`;
  if (/\bOOM\b/.test(text))
    return new AppError('storage_nearly_full', { retryAfterS: 5, cause: error });
  if (AWAY.test(text)) return new AppError('redis_unavailable', { retryAfterS: 1, cause: error });
  return null;
}
