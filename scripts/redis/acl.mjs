import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { aclFile, REDIS_USERS } from './rights.mjs';

const USAGE = `usage: node scripts/redis/acl.mjs FOLDER [--at redis:6379] [--prefix {headrace}]

Writes, with new passwords:
  FOLDER/users.acl   for Redis (--aclfile): what each process may do; hashes of the passwords only
  FOLDER/urls.env    API_REDIS_URL, WORKER_REDIS_URL, …: secret
  FOLDER/autoscaler.env   the name and password that KEDA asks with: secret`;

const PREFIX = /^\{[A-Za-z0-9._-]{1,40}\}$/;
const PLACE = /^[A-Za-z0-9.-]+:\d{1,5}$/;

const options = parseOptions();
if (options === null) {
  console.error(USAGE);
  process.exit(2);
}
const { folder, at, prefix } = options;
const password = () => randomBytes(32).toString('hex');
const passwords = {
  ...{ api: password(), worker: password(), dispatcher: password(), autoscaler: password() },
  admin: password(),
};
/** @type {(keyof typeof passwords)[]} */
const users = [...REDIS_USERS, 'admin'];
const urls = users.map(
  (user) => `${user.toUpperCase()}_REDIS_URL=redis://${user}:${passwords[user]}@${at}\n`,
);
mkdirSync(folder, { recursive: true, mode: 0o700 });
// Redis may run as another user, and hashes of such passwords tell nothing.
writeFileSync(join(folder, 'users.acl'), aclFile(prefix, passwords), { flag: 'wx', mode: 0o644 });
writeFileSync(join(folder, 'urls.env'), urls.join(''), { flag: 'wx', mode: 0o600 });
const autoscaler = `username=autoscaler\npassword=${passwords.autoscaler}\n`;
writeFileSync(join(folder, 'autoscaler.env'), autoscaler, { flag: 'wx', mode: 0o600 });
console.log(`wrote users.acl, urls.env and autoscaler.env in ${folder}`);

/** @returns {{ folder: string; at: string; prefix: string } | null} */
function parseOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        at: { type: 'string', default: 'redis:6379' },
        prefix: { type: 'string', default: '{headrace}' },
      },
    });
    const [folder, ...rest] = positionals;
    const { at, prefix } = values;
    if (folder === undefined || rest.length > 0) return null;
    return PREFIX.test(prefix) && PLACE.test(at) ? { folder, at, prefix } : null;
  } catch {
    return null;
  }
}
