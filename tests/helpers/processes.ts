import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const READY_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 40_000;

/** One record of a service's JSON log. */
export type LogRecord = Record<string, unknown> & { event?: unknown };

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface ServiceProcess {
  readonly pid: number;
  /** The record of its ready event, such as `{ event: 'api.listening', port: 40123 }`. */
  readonly ready: LogRecord;
  /** Every record so far; more are pushed as they come. */
  readonly logs: readonly LogRecord[];
  /** Whatever it wrote that is no JSON record, such as the trace of a crash. */
  readonly otherOutput: readonly string[];
  /** Resolves when it has ended, whatever the cause. */
  readonly exited: Promise<Exit>;
  /** The first record, past or future, that fits; rejects when the process ends without it. */
  waitForLog(fits: (record: LogRecord) => boolean): Promise<LogRecord>;
  /** SIGTERM, then waits; SIGKILL after 40 s, seen as `signal: 'SIGKILL'`. Idempotent. */
  stop(): Promise<Exit>;
  /** SIGKILL, then waits. */
  kill9(): Promise<Exit>;
}

export interface ServiceOptions {
  /** Added to a clean environment (PATH, HOME, TMPDIR and the like only): REDIS_URL, HEADRACE_PREFIX, … */
  env: Record<string, string>;
  /** A command that runs the process in its own place, such as `ip netns exec <name>`. */
  under?: readonly string[];
  /** The folder of another copy of Headrace, such as what an image holds. */
  folder?: string;
}

export type ApiProcess = ServiceProcess & { readonly port: number; readonly url: string };

/**
 * Starts the real API in a process of its own and waits until it listens. PORT is 0 (any free one)
 * unless `env` says otherwise.
 *
 *     const api = await startApi({ env: { REDIS_URL: redis.url, HEADRACE_PREFIX: testPrefix() } });
 *     after(() => api.stop());
 *     await fetch(`${api.url}/health`);
 */
export async function startApi({ env, folder }: ServiceOptions): Promise<ApiProcess> {
  const service = await startService({
    script: 'apps/api/src/main.ts',
    readyEvent: 'api.listening',
    folder,
    // Clients of tests keep connections, and are done before it stops.
    env: { PORT: '0', HEADRACE_LINGER_MS: '0', ...env },
  });
  const port = Number(service.ready.port);
  return Object.assign(service, { port, url: `http://127.0.0.1:${port}` });
}

/**
 * Starts the real worker in a process of its own and waits until it is ready. Its probes take any
 * free port unless `env` says otherwise.
 */
export function startWorker({ env, under, folder }: ServiceOptions): Promise<ServiceProcess> {
  return startService({
    under,
    folder,
    script: 'apps/worker/src/main.ts',
    readyEvent: 'worker.ready',
    env: { HEADRACE_PROBES_PORT: '0', ...env },
  });
}

/** Starts the real dispatcher in a process of its own and waits until it is ready. */
export function startDispatcher({ env, folder }: ServiceOptions): Promise<ServiceProcess> {
  return startService({
    script: 'apps/dispatcher/src/main.ts',
    readyEvent: 'dispatcher.ready',
    folder,
    env: { HEADRACE_DISPATCHER_PROBES_PORT: '0', ...env },
  });
}

/**
 * Starts any script that logs JSON records on its standard output, and waits for `readyEvent`. It
 * has an IPC channel, so a service of ours stops by itself if the test process dies.
 * @throws Error with its last output when it ends, or 60 s pass, before it is ready
 */
async function startService(options: {
  script: string;
  readyEvent: string;
  env: Record<string, string>;
  under?: readonly string[] | undefined;
  folder?: string | undefined;
}): Promise<ServiceProcess> {
  const [command = '', ...args] = [...(options.under ?? []), process.execPath, options.script];
  const child = spawn(command, args, {
    cwd: options.folder ?? ROOT,
    env: { ...cleanEnvironment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const output = collectOutput(child, options.script);
  const ready = output.waitForLog((record) => record.event === options.readyEvent);
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_DEADLINE_MS);
  try {
    return {
      ...output,
      ready: await ready,
      pid: child.pid ?? 0,
      stop: () => end(child, output.exited, 'SIGTERM'),
      kill9: () => end(child, output.exited, 'SIGKILL'),
    };
  } finally {
    clearTimeout(timer);
  }
}

function cleanEnvironment(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'NODE_COMPILE_CACHE'].map((name) => [
    name,
    process.env[name],
  ]);
  return Object.fromEntries(kept.filter(([, value]) => value !== undefined));
}

function collectOutput(child: ChildProcess, script: string) {
  const logs: LogRecord[] = [];
  const otherOutput: string[] = [];
  const listeners = new Set<(record: LogRecord) => void>();
  const onLine = (line: string) => {
    const record = parseRecord(line);
    if (record === null) otherOutput.push(line);
    else {
      logs.push(record);
      for (const listener of [...listeners]) listener(record);
    }
  };
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', onLine);
  }
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  // Later than `exited`: by then everything that it wrote has been read.
  const closed = new Promise((resolve) => child.once('close', resolve)).then(() => exited);
  const waitForLog = (fits: (record: LogRecord) => boolean): Promise<LogRecord> => {
    const past = logs.find(fits);
    if (past) return Promise.resolve(past);
    const { promise, resolve, reject } = Promise.withResolvers<LogRecord>();
    const listener = (record: LogRecord) => {
      if (fits(record)) resolve(record);
    };
    listeners.add(listener);
    closed.then(({ code, signal }) => {
      const last = [...logs.slice(-10).map((record) => JSON.stringify(record)), ...otherOutput];
      reject(new Error(`${script} ended with ${code ?? signal}:\n${last.join('\n')}`));
    }, reject);
    return promise.finally(() => listeners.delete(listener));
  };
  return { logs, otherOutput, exited, waitForLog };
}

function parseRecord(line: string): LogRecord | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

async function end(
  child: ChildProcess,
  exited: Promise<Exit>,
  signal: NodeJS.Signals,
): Promise<Exit> {
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
  const exit = await exited;
  clearTimeout(timer);
  return exit;
}
