import { parseRedisUrl, redisUrlProblem } from '@headrace/shared/redis/address.ts';
import { Redis } from 'ioredis';
import { isNewEnough, OLDEST_REDIS } from '../setup/redis-server.mjs';
import { SetupError } from '../setup/setup-error.mjs';

const CONNECT_TIMEOUT_MS = 5_000;
const GROUP = /^rediss?-(sentinel|cluster):/;

/**
 * Checks that a Redis of the user's can hold the queues: version and eviction policy.
 * @param {string} url
 * @returns {Promise<string[]>} what is worth a warning
 * @throws SetupError that says what to type
 */
export async function checkExternalRedis(url) {
  const problem = redisUrlProblem(url);
  if (problem !== null) throw new SetupError(`REDIS_URL ${problem}.`);
  if (GROUP.test(url)) {
    return [
      `The Redis at ${shown(url)} is a group of servers, which only its operator can check: ` +
        `version ${OLDEST_REDIS} or newer, maxmemory-policy noeviction, an append-only file.`,
    ];
  }
  const info = await readInfo(url);
  const field = (/** @type {string} */ name) => {
    return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  };
  const [major, minor] = field('redis_version').split('.').map(Number);
  if (!isNewEnough(major ?? 0, minor ?? 0)) {
    throw new SetupError(
      `The Redis at ${shown(url)} has version ${field('redis_version')}. ` +
        `Headrace needs ${OLDEST_REDIS} or newer.`,
    );
  }
  const policy = field('maxmemory_policy');
  if (policy !== 'noeviction') {
    throw new SetupError(
      `The Redis at ${shown(url)} drops keys when its memory is full (policy ${policy}), ` +
        'and jobs would be among them. Set another policy, for good in its configuration:\n' +
        `  redis-cli ${cliAddress(url)} CONFIG SET maxmemory-policy noeviction`,
    );
  }
  if (field('aof_enabled') === '1') return [];
  return [`The Redis at ${shown(url)} has no append-only file: jobs are lost when it restarts.`];
}

/** @param {string} url */
async function readInfo(url) {
  const redis = new Redis({
    ...parseRedisUrl(url).options,
    lazyConnect: true,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: CONNECT_TIMEOUT_MS,
  });
  /** @type {unknown} ioredis rejects with "Connection is closed."; the reason is in the event */
  let reason = null;
  redis.on('error', (error) => {
    reason = error;
  });
  try {
    await redis.connect();
    return await redis.info();
  } catch (error) {
    throw new SetupError(
      `No Redis answers at ${shown(url)} (${messageOf(reason ?? error)}).\n` +
        'Correct REDIS_URL, or leave it unset: then Headrace starts a Redis of its own.',
    );
  } finally {
    redis.disconnect();
  }
}

/** @param {unknown} error */
function messageOf(error) {
  if (!(error instanceof Error)) return String(error);
  return error.message || ('code' in error ? String(error.code) : error.name);
}

/** @param {string} url */
function shown(url) {
  return url.replace(/\/\/[^@/]*@/, '//…@').replace(/\?.*$/, '');
}

/** @param {string} url */
function cliAddress(url) {
  return url.startsWith('unix://') ? `-s ${url.slice('unix://'.length)}` : `-u '${shown(url)}'`;
}
