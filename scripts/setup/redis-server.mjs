import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runQuietly } from './command.mjs';
import { installRedis } from './redis-install.mjs';
import { SetupError } from './setup-error.mjs';

const OLDEST = /** @type {const} */ ([6, 2]);

/** As a user reads it. */
export const OLDEST_REDIS = OLDEST.join('.');

const NAMES = ['redis-server', 'valkey-server'];
const USUAL_FOLDERS = ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin', '/usr/sbin'];

/**
 * Finds a Redis (or Valkey) server on this machine, or installs one where that takes no password.
 * @returns {Promise<string>} path of the binary
 * @throws SetupError that says what to type on this system
 */
export async function provideRedisServer() {
  const found = await findRedisServer();
  if (found.binary) return found.binary;
  const advice = await installRedis();
  const again = await findRedisServer();
  if (again.binary) return again.binary;
  const why = again.tooOld
    ? `${again.tooOld} is older than Redis ${OLDEST_REDIS}.`
    : 'Headrace needs a Redis server, and there is none on this machine.';
  throw new SetupError(`${why}\n${advice}`);
}

/** @returns {Promise<{ binary: string | null, tooOld: string | null }>} */
async function findRedisServer() {
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  /** @type {string | null} */
  let tooOld = null;
  for (const name of NAMES) {
    for (const folder of new Set([...path, ...USUAL_FOLDERS])) {
      const binary = join(folder, name);
      if (!isExecutable(binary)) continue;
      const { output } = await runQuietly(binary, ['--version']);
      const [, major, minor] = /v=(\d+)\.(\d+)/.exec(output) ?? [];
      if (isNewEnough(Number(major), Number(minor))) return { binary, tooOld: null };
      tooOld = `${binary} (${output.trim() || 'which does not start'})`;
    }
  }
  return { binary: null, tooOld };
}

/**
 * @param {number} major
 * @param {number} minor
 */
export function isNewEnough(major, minor) {
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
