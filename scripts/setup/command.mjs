import { spawn } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { ROOT, TOOLS } from './paths.mjs';

const FORWARDED = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1, SIGKILL: 9 };

/**
 * Runs a command on this terminal and passes signals on to it.
 * @param {string} file
 * @param {string[]} args
 * @param {{ env: NodeJS.ProcessEnv, tied?: boolean, cwd?: string }} options
 *   `tied` gives it an IPC channel, by which it notices when this process is killed
 * @returns {Promise<number>} its exit code, as a shell would give it
 */
export function passThrough(file, args, { env, tied = false, cwd = ROOT }) {
  const stdio = /** @type {const} */ (['inherit', 'inherit', 'inherit']);
  const child = spawn(file, args, {
    stdio: tied ? [...stdio, 'ipc'] : [...stdio],
    cwd,
    env,
  });
  forwardSignals(child);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      resolve(code ?? 128 + (Object.entries(SIGNAL_NUMBERS).find(([s]) => s === signal)?.[1] ?? 0));
    });
  });
}

/**
 * Until it has ended, a child gets the signals that this process gets.
 * @param {import('node:child_process').ChildProcess} child
 */
function forwardSignals(child) {
  for (const signal of FORWARDED) {
    const forward = () => child.kill(signal);
    process.on(signal, forward);
    child.once('exit', () => process.off(signal, forward));
  }
}

/**
 * What set-up found on this machine; null: not looked for, or not there.
 * @typedef {{ redisServer: string | null, chromium: string | null }} Tools
 */

/**
 * What tests and benchmarks run with: the Node, the Redis and the Chromium that set-up found.
 * @param {Tools} tools
 */
export function programEnv({ redisServer, chromium }) {
  const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter);
  const CHROMIUM_PATH = chromium ?? process.env.CHROMIUM_PATH;
  // A process starts in half the time when an earlier one has compiled the same modules.
  const NODE_COMPILE_CACHE = join(TOOLS, 'compile-cache');
  return {
    ...{ ...process.env, PATH, NODE_COMPILE_CACHE, REDIS_SERVER: redisServer ?? '' },
    ...(CHROMIUM_PATH && { CHROMIUM_PATH }),
  };
}

/**
 * Runs a command without showing what it prints.
 * @param {string} file
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string, timeout?: number, forwards?: boolean }} [options]
 *   `timeout` in ms; `forwards` passes signals on to it
 * @returns {Promise<{ ok: boolean, output: string }>} stdout and stderr together
 */
export function runQuietly(file, args, { forwards = false, ...options } = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    if (forwards) forwardSignals(child);
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
    });
    child.stderr.on('data', (data) => {
      output += data;
    });
    child.once('error', (error) => resolve({ ok: false, output: error.message }));
    child.once('close', (code) => resolve({ ok: code === 0, output }));
  });
}
