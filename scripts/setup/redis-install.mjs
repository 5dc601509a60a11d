import { runQuietly } from './command.mjs';

/**
 * The package managers we know, and how they install Redis. Only those that are safe to run unasked
 * are run: the others ask questions or replace other packages.
 */
const MANAGERS = [
  { tool: 'apt-get', args: ['install', '-y', 'redis-server'], asRoot: true, unasked: true },
  { tool: 'brew', args: ['install', 'redis'], asRoot: false, unasked: true },
  { tool: 'dnf', args: ['install', 'redis'], asRoot: true, unasked: false },
  { tool: 'apk', args: ['add', 'redis'], asRoot: true, unasked: false },
];

const DOCKER =
  'docker run -d --name headrace-redis -p 127.0.0.1:6379:6379 redis:7 ' +
  'redis-server --appendonly yes --maxmemory-policy noeviction';

/**
 * Installs Redis if this user may without a password and HEADRACE_NO_INSTALL is not set.
 * @returns {Promise<string>} what to type when there is still none
 */
export async function installRedis() {
  const manager = await detectManager();
  if (manager?.unasked && !process.env.HEADRACE_NO_INSTALL) await install(manager);
  const otherwise = [
    `  ${DOCKER}`,
    '  REDIS_URL=redis://127.0.0.1:6379 npm start',
    'or set REDIS_URL to a Redis (6.2 or newer, maxmemory-policy noeviction) that you have.',
  ];
  if (!manager) return ['Start one with Docker:', ...otherwise].join('\n');
  const command = [manager.tool, ...manager.args].join(' ');
  const sudo = manager.asRoot && !isRoot() ? 'sudo ' : '';
  return [`Install it:\n  ${sudo}${command}`, 'or start one with Docker:', ...otherwise].join('\n');
}

/** @param {(typeof MANAGERS)[number]} manager */
async function install({ tool, args, asRoot }) {
  // A runlevel of 1 keeps Debian's package from starting a Redis of its own on port 6379; `env`
  // because sudo drops variables.
  const variables = ['env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1'];
  const prefix = [...(asRoot && !isRoot() ? ['sudo', '-n'] : []), ...variables];
  const run = (/** @type {string[]} */ words) => {
    const [file = '', ...rest] = [...prefix, ...words];
    return runQuietly(file, rest);
  };
  if (!(await run(['true'])).ok) return;
  console.log(`Installing Redis: ${[...prefix, tool, ...args].join(' ')} …`);
  if ((await run([tool, ...args])).ok || tool !== 'apt-get') return;
  // Most often the package lists are missing, as in a fresh container.
  if ((await run([tool, 'update'])).ok) await run([tool, ...args]);
}

async function detectManager() {
  for (const manager of MANAGERS) {
    if ((await runQuietly(manager.tool, ['--version'])).ok) return manager;
  }
  return null;
}

function isRoot() {
  return process.getuid?.() === 0;
}
