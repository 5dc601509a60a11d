import { type ChildProcess, fork } from 'node:child_process';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import {
  type EngineSpec,
  type FromEngine,
  isFromEngine,
  type LoadTimings,
  type PackedRows,
  type RunDone,
  type RunFailure,
  type ToEngine,
} from './protocol.ts';

export interface EngineOptions {
  spec: EngineSpec;
  /** Added to the child's priority, 0 to 19, so that a busy machine still serves its callers. */
  niceness: number;
  startTimeoutMs: number;
}

/** Why a run has no answer: its process is gone. */
export interface RunLost {
  type: 'lost';
  /** `crashed`: by itself; `killed`: by a SIGKILL that was not ours; `timed_out`: by ours. */
  cause: 'crashed' | 'killed' | 'timed_out';
  /** False for a run that was only prepared behind the one that was running. */
  wasRunning: boolean;
}

export type RunReport = RunDone | RunFailure | RunLost;

export interface EngineStart extends LoadTimings {
  /** From fork to the answer. */
  totalMs: number;
}

/** How an engine ended. */
export interface EngineExit {
  cause: RunLost['cause'] | 'stopped';
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The end of what it wrote to stderr. */
  stderr: string;
  /** Of the run that was running: they are run again. */
  rowsLost: number;
}

interface PendingRun {
  id: number;
  rows: number;
  deadlineMs: number;
  resolve: (report: RunReport) => void;
}

const ENTRY = fileURLToPath(new URL('./engine-process.ts', import.meta.url));
const STDERR_KEPT_CHARACTERS = 4096;

/**
 * One engine child, from its fork to its end; restarts are the pool's business. Runs are answered
 * in the order they were sent, so the oldest unanswered one is the one that runs.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #ended = Promise.withResolvers<EngineExit>();
  readonly #pending: PendingRun[] = [];
  #child: ChildProcess | null = null;
  #alive = false;
  #starting: PromiseWithResolvers<LoadTimings> | null = null;
  #deadline: NodeJS.Timeout | null = null;
  #killedAs: 'timed_out' | 'stopped' | null = null;
  #stderr = '';
  #nextId = 1;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  /** Of the process from its fork to its end, else null. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** True from the moment when the graph is loaded until the process is gone. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Runs that were sent and not answered. */
  get load(): number {
    return this.#pending.length;
  }

  /** Resolves once the process is gone and all that it said was read. */
  get ended(): Promise<EngineExit> {
    return this.#ended.promise;
  }

  /**
   * Forks the child and loads the graph; call it once.
   * @throws Error with the child's reason when it cannot load, dies or takes too long
   */
  async start(): Promise<EngineStart> {
    const began = performance.now();
    const starting = Promise.withResolvers<LoadTimings>();
    this.#starting = starting;
    const timeout = setTimeout(() => {
      starting.reject(new Error(`the engine did not load in ${this.#options.startTimeoutMs} ms`));
    }, this.#options.startTimeoutMs);
    try {
      this.#fork();
      this.#send({ type: 'load', spec: this.#options.spec });
      const { importMs, sessionMs } = await starting.promise;
      this.#alive = true;
      return { importMs, sessionMs, totalMs: performance.now() - began };
    } catch (error) {
      this.kill();
      throw withDetails(error, (await this.ended).stderr);
    } finally {
      clearTimeout(timeout);
      this.#starting = null;
    }
  }

  /** Never rejects. The deadline counts from the moment when the run is the oldest one. */
  run(rows: PackedRows, deadlineMs: number): Promise<RunReport> {
    const id = this.#nextId;
    this.#nextId += 1;
    const { promise, resolve } = Promise.withResolvers<RunReport>();
    this.#pending.push({ id, rows: rows.lengths.length, deadlineMs, resolve });
    if (this.#pending.length === 1) this.#watchOldest();
    this.#send({ type: 'run', id, ...rows });
    return promise;
  }

  /** Ends the process at once; what was running is lost. Idempotent. */
  kill(): void {
    this.#killAs('stopped');
  }

  #killAs(reason: 'timed_out' | 'stopped'): void {
    this.#killedAs ??= reason;
    if (this.#child === null) {
      this.#ended.resolve({ cause: 'stopped', code: null, signal: null, stderr: '', rowsLost: 0 });
    }
    // A run cannot be cancelled and blocks every other signal.
    this.#child?.kill('SIGKILL');
  }

  /** Throws when the machine has no process or memory to give. */
  #fork(): void {
    const child = fork(ENTRY, [], {
      // None of the parent's flags: it must start fast, and never as somebody's test runner.
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child = child;
    this.#listen(child);
    lowerPriority(child.pid, this.#options.niceness);
  }

  #listen(child: ChildProcess): void {
    child.on('message', (message: unknown) => {
      if (isFromEngine(message)) this.#receive(message);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT_CHARACTERS);
    });
    // Answers may still be in the channel when the process is gone: `disconnect` follows the last.
    const drained = new Promise<void>((resolve) => child.once('disconnect', resolve));
    child.on('error', (error) => {
      this.#starting?.reject(error);
      // It could not be forked: no exit follows.
      if (child.pid === undefined) this.#finish(null, null);
    });
    child.once('exit', (code, signal) => {
      void drained.then(() => this.#finish(code, signal));
    });
  }

  #receive(message: FromEngine): void {
    if (message.type === 'ready') {
      this.#starting?.resolve(message);
      return;
    }
    if (message.type === 'load_failed') {
      this.#starting?.reject(new Error(message.message));
      return;
    }
    if (this.#pending[0]?.id !== message.id) return;
    const run = this.#pending.shift();
    this.#watchOldest();
    run?.resolve(message);
  }

  /** Sets the deadline of the run that is now the oldest. */
  #watchOldest(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
    const oldest = this.#pending[0];
    if (oldest === undefined) return;
    this.#deadline = setTimeout(() => {
      // If this thread was blocked, the answer may be there already: read the channel first.
      setImmediate(() => {
        if (this.#pending[0] === oldest) this.#killAs('timed_out');
      });
    }, oldest.deadlineMs);
  }

  #finish(code: number | null, signal: NodeJS.Signals | null): void {
    this.#alive = false;
    this.#child = null;
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    const cause = this.#killedAs ?? (signal === 'SIGKILL' ? 'killed' : 'crashed');
    const stderr = stripVTControlCharacters(this.#stderr).trim();
    this.#starting?.reject(
      new Error(`the engine ended while loading (${signal ?? `exit ${code}`}) ${stderr}`.trim()),
    );
    const rowsLost = this.#pending[0]?.rows ?? 0;
    this.#ended.resolve({ cause, code, signal, stderr, rowsLost });
    const lost = cause === 'stopped' ? 'killed' : cause;
    let wasRunning = true;
    for (const run of this.#pending.splice(0)) {
      run.resolve({ type: 'lost', cause: lost, wasRunning });
      wasRunning = false;
    }
  }

  #send(message: ToEngine): void {
    // A closed channel is no error here: the exit that comes with it settles what is pending.
    if (this.#child?.connected) this.#child.send(message, () => undefined);
  }
}

/** ONNX Runtime throws that a library could not be loaded, and says only on stderr which. */
function withDetails(error: unknown, stderr: string): unknown {
  if (!(error instanceof Error) || error.message.includes(stderr)) return error;
  return new Error(`${error.message}: ${stderr}`, { cause: error });
}

function lowerPriority(pid: number | undefined, niceness: number): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, niceness);
  } catch {
    // Not allowed here, or the child is gone already: neither is worth failing for.
  }
}
