import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning } from '../setup/process-table.mjs';
import { SetupError } from '../setup/setup-error.mjs';

// The kernel's limit is 104 bytes on macOS and 108 on Linux, with the final zero.
const LONGEST_SOCKET_PATH = 100;
const STOP_DEADLINE_MS = 10_000;
const PREDECESSOR_DEADLINE_MS = 20_000;
const LINES_KEPT = 20;
const PID_FILE = 'redis.pid';

// Reads one line from its parent; if the parent goes away instead, Redis follows it.
const GUARD = 'read -r dismissed || { sleep "$2"; kill -TERM "$1"; kill -CONT "$1"; }';

/**
 * A Redis server of our own.
 * @typedef {object} RedisProcess
 * @property {string} url `unix://…` or `redis://127.0.0.1:…`
 * @property {number} pid
 * @property {Promise<void>} exited when it has ended, whatever the cause
 * @property {() => string[]} lastLines what it logged last
 * @property {() => Promise<void>} stop SIGTERM: it writes its append-only file; idempotent
 * @property {() => Promise<void>} kill SIGKILL
 */

/**
 * Where a Redis in `folder` listens: a unix socket that only this user can open, or a free loopback
 * port where the socket's path would be too long.
 * @param {string} folder
 * @param {number | null} [port] a loopback port to use instead of the socket; 0 for a free one
 * @returns {Promise<string>} URL
 */
export async function chooseRedisUrl(folder, port = null) {
  const socket = join(folder, 'redis.sock');
  const fits = Buffer.byteLength(socket) <= LONGEST_SOCKET_PATH;
  if (fits && port === null) return `unix://${socket}`;
  return `redis://127.0.0.1:${port || (await findFreePort())}`;
}

/**
 * Starts Redis and waits until it accepts connections. It stops when this process is gone, even by
 * SIGKILL. It gets a session of its own, so that a Ctrl-C in the terminal does not reach it.
 * @param {object} options
 * @param {string} options.binary
 * @param {string} options.folder for its data; made if missing
 * @param {string} options.url as from `chooseRedisUrl`
 * @param {Record<string, string>} options.settings beside those that Headrace always needs
 * @param {number} [options.graceS] how long it outlives this process, for others to finish
 * @param {(line: string) => void} [options.onLine] gets its log
 * @returns {Promise<RedisProcess>}
 * @throws SetupError with its last log line when it ends instead
 */
export async function startRedisProcess(options) {
  const { binary, folder, url, settings, graceS = 0, onLine = () => {} } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await waitForPredecessor(folder);
  const child = spawn(binary, toArguments(folder, { ...listenOn(url), ...settings }), {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const exited = new Promise((resolve) => child.once('close', resolve)).then(() => {});
  const pid = child.pid ?? 0;
  if (child.pid !== undefined) exited.then(guard(pid, graceS));
  /** @type {string[]} */
  const lines = [];
  await waitUntilReady(child, exited, (line) => {
    onLine(line);
    lines.push(line);
    if (lines.length > LINES_KEPT) lines.shift();
  });
  return {
    url,
    pid,
    exited,
    lastLines: () => [...lines],
    stop: async () => {
      if (!child.kill('SIGTERM')) return exited;
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
      await exited;
      clearTimeout(timer);
    },
    kill: () => {
      child.kill('SIGKILL');
      return exited;
    },
  };
}

/**
 * Two servers on one append-only file would ruin it: the one of a killed `npm start` ends first.
 * @param {string} folder
 */
async function waitForPredecessor(folder) {
  const pid = readPid(folder);
  if (pid === null) return;
  const deadline = Date.now() + PREDECESSOR_DEADLINE_MS;
  while (isRunning(pid, folder)) {
    if (Date.now() > deadline)
      throw new SetupError(`Redis ${pid} still uses ${folder}: stop it first`);
    await sleep(100);
  }
}

/** @param {string} folder */
function readPid(folder) {
  try {
    return Number(readFileSync(join(folder, PID_FILE), 'utf8')) || null;
  } catch {
    return null;
  }
}

/** @param {string} url */
function listenOn(url) {
  if (!url.startsWith('unix://')) return { port: new URL(url).port, bind: '127.0.0.1' };
  const unixsocket = url.slice('unix://'.length);
  // Left behind by a Redis that was killed; Redis itself would only fail to bind.
  rmSync(unixsocket, { force: true });
  return { port: '0', unixsocket, unixsocketperm: '700' };
}

/**
 * @param {string} folder
 * @param {Record<string, string>} settings
 */
function toArguments(folder, settings) {
  const all = {
    dir: folder,
    pidfile: join(folder, PID_FILE),
    // Names the folder, so that a pid can be told from a stranger's.
    'proc-title-template': `{title} {listen-addr} ${folder.replace(/[{}]/g, '$&$&')}`,
    'maxmemory-policy': 'noeviction',
    save: '',
    logfile: '',
    daemonize: 'no',
    ...settings,
  };
  return Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {Promise<void>} exited
 * @param {(line: string) => void} onLine
 * @returns {Promise<void>}
 */
function waitUntilReady(child, exited, onLine) {
  return new Promise((resolve, reject) => {
    let lastLine = '';
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on('line', (line) => {
        onLine(line);
        lastLine = line;
        if (/ready to accept connections/i.test(line)) resolve();
      });
    }
    child.once('error', reject);
    exited.then(() => reject(new SetupError(`Redis does not start: ${lastLine}`)));
  });
}

/**
 * Ends a process `graceS` after this one is gone, even by SIGKILL.
 * @param {number} pid
 * @param {number} graceS
 * @returns {() => void} sends the guard away
 */
export function guard(pid, graceS) {
  const args = ['-c', GUARD, 'headrace-redis-guard', String(pid), String(graceS)];
  const child = spawn('/bin/sh', args, { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  child.unref();
  child.stdin.on('error', () => {});
  return () => child.stdin.end('dismissed\n');
}

/** @returns {Promise<number>} a loopback port that was free a moment ago */
function findFreePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = address !== null && typeof address === 'object' ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
