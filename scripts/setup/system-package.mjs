import { runQuietly } from './command.mjs';

/**
 * The package managers we know. Only those that are safe to run unasked are run: the others ask
 * questions or replace other packages.
 */
const MANAGERS = /** @type {const} */ ([
  { tool: 'apt-get', verb: ['install', '-y'], asRoot: true, unasked: true },
  { tool: 'brew', verb: ['install'], asRoot: false, unasked: true },
  { tool: 'dnf', verb: ['install'], asRoot: true, unasked: false },
  { tool: 'apk', verb: ['add'], asRoot: true, unasked: false },
]);
const LONGEST_MS = 300_000;

/**
 * @typedef {(typeof MANAGERS)[number]} Manager
 * @typedef {Partial<Record<Manager['tool'], string>>} PackageNames
 */

/**
 * Installs a package if this user may without a password and HEADRACE_NO_INSTALL is not set.
 * @param {string} what as a user reads it
 * @param {PackageNames} names in each package manager that has it
 * @returns {Promise<string | null>} what to type when it is still missing; null: we do not know
 */
export async function installPackage(what, names) {
  for (const manager of MANAGERS) {
    const name = names[manager.tool];
    if (name === undefined || !(await runQuietly(manager.tool, ['--version'])).ok) continue;
    if (manager.unasked && !process.env.HEADRACE_NO_INSTALL) await install(manager, what, name);
    const sudo = manager.asRoot && !isRoot() ? 'sudo ' : '';
    return `${sudo}${manager.tool} ${manager.verb.join(' ')} ${name}`;
  }
  return null;
}

/**
 * @param {Manager} manager
 * @param {string} what
 * @param {string} name
 */
async function install({ tool, verb, asRoot }, what, name) {
  // A runlevel of 1 keeps Debian's packages from starting a service of their own; `env` because
  // sudo drops variables.
  const variables = ['env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1'];
  const prefix = [...(asRoot && !isRoot() ? ['sudo', '-n'] : []), ...variables];
  const run = (/** @type {string[]} */ words) => {
    const [file = '', ...rest] = [...prefix, ...words];
    return runQuietly(file, rest, { timeout: LONGEST_MS });
  };
  if (!(await run(['true'])).ok) return;
  const words = [tool, ...verb, name];
  console.log(`Installing ${what}: ${[...prefix, ...words].join(' ')} …`);
  if ((await run(words)).ok || tool !== 'apt-get') return;
  // Most often the package lists are missing, as in a fresh container.
  if ((await run([tool, 'update'])).ok) await run(words);
}

function isRoot() {
  return process.getuid?.() === 0;
}
