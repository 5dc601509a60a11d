import { createHash } from 'node:crypto';

/**
 * Who connects to Redis; `autoscaler` is whatever scales the workers on the length of queues.
 * @typedef {'api' | 'worker' | 'dispatcher' | 'autoscaler'} RedisUser
 */

/** @type {readonly RedisUser[]} */
export const REDIS_USERS = ['api', 'worker', 'dispatcher', 'autoscaler'];

/**
 * All else is refused.
 * @typedef {object} Rights
 * @property {string} commands
 * @property {string} keys patterns, without the prefix
 * @property {string} channels without the prefix
 */

/** To connect, to know the server's version and memory, and to send scripts. */
const CONNECT = 'client|setname select info evalsha eval';

/** Commands of the scripts by which BullMQ adds a job or takes one out. */
const QUEUE_SCRIPTS =
  'del exists get hget hgetall hmget hmset hset incr llen lpos lrange lrem persist pttl sadd ' +
  'scard set smembers srem xadd zadd zrange zrem zrevrangebyscore zscore';

/** Of those by which an end is told of: a delivery, and its job in the queue of deliveries. */
const CALLBACK_SCRIPTS =
  'exists hexists hget hset incr lpush pexpire pttl xadd zadd zremrangebyscore';

/** Of those by which its workers take, lock, finish, retry and recover jobs, and wait for one. */
const WORKER_SCRIPTS =
  'bzpopmin del exists get hdel hexists hget hgetall hincrby hmget hmset hset incr llen lpush ' +
  'lrange lrem ltrim pexpire pttl rpoplpush rpush sadd scard set smembers srem xadd xtrim zadd ' +
  'zcard zpopmin zrange zrangebyscore zrem zremrangebyrank zremrangebyscore zrevrange ' +
  'zrevrangebyscore zscore';

/**
 * What each may do. Commands inside scripts are checked like any other.
 * @type {Record<RedisUser, Rights>}
 */
const RIGHTS = {
  api: {
    commands:
      `${CONNECT} ${QUEUE_SCRIPTS} ${CALLBACK_SCRIPTS} ping time subscribe unsubscribe publish multi ` +
      'exec mget hdel hincrby hsetnx smembers zcard zrank zrevrank zrevrange zrangebylex ' +
      'zrevrangebylex zremrangebylex expire expireat pexpireat',
    keys:
      'job:* jobs:* file:* files:* file-expiry batch:* batch-chunks:* batches:* live-batches ' +
      'ended-batches workers apis overview speed:* order:* expiry-turn infer.* bulk.* api-key:* ' +
      'api-keys keys-demanded tenant-names tenants rate:* once:* delivery:* deliveries:* ' +
      'webhook-endpoint:* webhook-endpoints:* webhook-secrets:* webhooks:*',
    channels: 'finished started cancel',
  },
  worker: {
    commands: `${CONNECT} ${WORKER_SCRIPTS} ${CALLBACK_SCRIPTS} subscribe publish hsetnx`,
    keys:
      'job:* batch:* batch-chunks:* workers speed:* order:* infer.* bulk.* delivery:* deliveries:* ' +
      'webhooks:*',
    channels: 'finished started cancel',
  },
  dispatcher: {
    commands:
      `${CONNECT} ${QUEUE_SCRIPTS} ${WORKER_SCRIPTS} ${CALLBACK_SCRIPTS} multi exec hsetnx ` +
      'pexpireat zrangebylex mget',
    keys:
      'file:* files:* file-expiry batch:* batch-chunks:* batches:* live-batches ended-batches ' +
      'plan:* assemble:* bulk.* order:bulk.* delivery:* deliveries:* webhook-endpoint:* ' +
      'webhook-endpoints:* webhook-secrets:* webhooks:*',
    channels: '',
  },
  // Lengths, and the counts of waiting rows and tokens; KEDA reads lengths by a script of its own.
  autoscaler: {
    commands: 'client|setname ping info eval evalsha type llen zcard scard hlen hget',
    keys: '*:wait *:active *:prioritized *:delayed order:*',
    channels: '',
  },
};

/**
 * A Redis ACL file: these users, with the passwords given, and an `admin` who may do all. Whoever
 * gives no name and no password may ask whether the server lives, and nothing else.
 * @param {string} prefix
 * @param {Record<RedisUser | 'admin', string>} passwords the file holds their hashes only
 * @returns {string}
 */
export function aclFile(prefix, passwords) {
  const users = REDIS_USERS.map((user) => {
    const { commands, keys, channels } = RIGHTS[user];
    return [
      ...['user', user, 'on', 'sanitize-payload', `#${sha256(passwords[user])}`],
      ...['resetkeys', ...words(keys).map((key) => `~${prefix}:${key}`)],
      ...['resetchannels', ...words(channels).map((channel) => `&${prefix}:${channel}`)],
      ...['-@all', ...[...new Set(words(commands))].toSorted().map((command) => `+${command}`)],
    ].join(' ');
  });
  const admin = `user admin on sanitize-payload #${sha256(passwords.admin)} ~* &* +@all`;
  const others = 'user default on nopass sanitize-payload resetkeys resetchannels -@all +ping';
  return [...users, admin, others, ''].join('\n');
}

/** @param {string} text */
function words(text) {
  return text.split(' ').filter((word) => word !== '');
}

/** @param {string} text */
function sha256(text) {
  return createHash('sha256').update(text).digest('hex');
}
