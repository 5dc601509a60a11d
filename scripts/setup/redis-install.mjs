import { installPackage } from './system-package.mjs';

const NAMES = { 'apt-get': 'redis-server', brew: 'redis', dnf: 'redis', apk: 'redis' };

const DOCKER =
  'docker run -d --name headrace-redis -p 127.0.0.1:6379:6379 redis:7 ' +
  'redis-server --appendonly yes --maxmemory-policy noeviction';

/**
 * Installs Redis where that takes no password.
 * @returns {Promise<string>} what to type when there is still none
 */
export async function installRedis() {
  const command = await installPackage('Redis', NAMES);
  return [
    ...(command === null
      ? ['Start one with Docker:']
      : [`Install it:\n  ${command}`, 'or start one with Docker:']),
    `  ${DOCKER}`,
    '  REDIS_URL=redis://127.0.0.1:6379 npm start',
    'or set REDIS_URL to a Redis (6.2 or newer, maxmemory-policy noeviction) that you have.',
  ].join('\n');
}
