import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ROOT } from '../setup/paths.mjs';
import { SetupError } from '../setup/setup-error.mjs';
import { indent } from './supervisor.mjs';

const LINES_KEPT = 20;

/**
 * @typedef {object} Service
 * @property {string} name
 * @property {string} script
 * @property {NodeJS.ProcessEnv} env
 * @property {string[]} readyEvents the first of these in its log says that it is ready
 * @property {number} stopDeadlineS how long it may take to stop before it is killed
 * @property {(line: string) => void} onLine gets its log
 */

/**
 * Starts a service that logs JSON lines on its standard output, and waits for its ready event. An
 * IPC channel lets it notice when this process is gone; a session of its own keeps a Ctrl-C in the
 * terminal from it, so that we stop one service after the other.
 * @param {Service} service
 * @param {AbortSignal} signal ends it while it is not ready
 * @returns {Promise<import('./supervisor.mjs').Running>}
 * @throws SetupError with its last lines when it ends before it is ready
 */
export async function launchService(service, signal) {
  signal.throwIfAborted();
  const child = spawn(process.execPath, [service.script], {
    cwd: ROOT,
    env: service.env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  const exited = /** @type {Promise<string>} */ (
    new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, by) => resolve(code === null ? `${by}` : `exit code ${code}`));
    })
  );
  const output = readOutput(child, service);
  const abort = () => child.kill('SIGTERM');
  signal.addEventListener('abort', abort);
  const ended = Promise.all([exited, output.ended]).then(([how]) => {
    throw new SetupError(`${service.name} does not start (${how}):\n${indent(output.lastLines())}`);
  });
  const ready = await Promise.race([output.ready, ended]);
  signal.removeEventListener('abort', abort);
  ended.catch(() => {});
  return {
    ready,
    exited,
    lastLines: output.lastLines,
    kill: () => child.kill('SIGKILL'),
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), service.stopDeadlineS * 1000);
      await exited;
      clearTimeout(timer);
    },
  };
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {Service} service
 */
function readOutput(child, { readyEvents, onLine }) {
  const ready = /** @type {PromiseWithResolvers<Record<string, unknown>>} */ (
    Promise.withResolvers()
  );
  /** @type {string[]} */
  const lines = [];
  const ended = [child.stdout, child.stderr].map((stream) => {
    if (!stream) return null;
    const reader = createInterface({ input: stream });
    reader.on('line', (line) => {
      onLine(line);
      lines.push(line);
      if (lines.length > LINES_KEPT) lines.shift();
      const record = parseRecord(line);
      if (record && readyEvents.includes(String(record.event))) ready.resolve(record);
    });
    return new Promise((resolve) => reader.once('close', resolve));
  });
  return { ready: ready.promise, ended: Promise.all(ended), lastLines: () => [...lines] };
}

/**
 * @param {string} line
 * @returns {Record<string, unknown> | null} null for what is no JSON record
 */
export function parseRecord(line) {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
