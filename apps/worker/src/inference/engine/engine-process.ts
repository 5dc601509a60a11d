/**
 * The engine child's entry: holds one session and answers one run after the other. `run()` blocks
 * this process, cannot be cancelled and may kill it, so nothing else lives here: locks, queues and
 * deadlines are the supervisor's.
 */
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { createNullRunner } from './null-runner.ts';
import { createOnnxRunner } from './onnx-runner.ts';
import {
  type EngineSpec,
  type FromEngine,
  isToEngine,
  type LoadTimings,
  type RunRequest,
} from './protocol.ts';
import { classifyRunError } from './run-error.ts';
import type { Runner } from './runner.ts';

const waiting: RunRequest[] = [];
let runner: Runner | null = null;
let busy = false;

process.title = 'headrace-engine';
// Ctrl-C reaches the whole process group; the supervisor decides when this process ends.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
// A run blocks the event loop, so this is never in the middle of one, where an exit would abort.
process.on('disconnect', () => process.exit(0));
process.on('message', (message: unknown) => {
  if (!isToEngine(message)) return;
  if (message.type === 'load') {
    void load(message.spec);
  } else {
    waiting.push(message);
    void drain();
  }
});

async function load(spec: EngineSpec): Promise<void> {
  process.title = `headrace-engine ${spec.model}`;
  watchParent();
  try {
    const loaded = await createRunner(spec);
    runner = loaded.run;
    await send({ type: 'ready', ...loaded.timings });
  } catch (error) {
    await send({ type: 'load_failed', message: messageOf(error) });
  }
}

async function createRunner(spec: EngineSpec): Promise<{ run: Runner; timings: LoadTimings }> {
  if (spec.kind === 'onnx') {
    for (const [name, value] of Object.entries(spec.environment)) process.env[name] ??= value;
    return createOnnxRunner(spec);
  }
  return { run: createNullRunner(spec), timings: { importMs: 0, sessionMs: 0 } };
}

/**
 * A run that never ends sees no `disconnect`: if the supervisor is killed meanwhile, this thread
 * ends the process, within a second. It is plain text because a file of its own would load the
 * type stripper once more (18 MB).
 */
function watchParent(): void {
  const source = `
    const parent = ${process.ppid};
    const check = () => process.ppid === parent || process.kill(process.pid, 'SIGKILL');
    setInterval(check, 1000);`;
  const resourceLimits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 8 };
  new Worker(source, { eval: true, execArgv: [], resourceLimits }).unref();
}

/**
 * Runs what waits, in order. An answer is in the kernel before the next run starts: should that
 * one kill the process, the answer is not lost, and the oldest unanswered run is the one that did.
 */
async function drain(): Promise<void> {
  if (busy) return;
  busy = true;
  for (let request = waiting.shift(); request !== undefined; request = waiting.shift()) {
    await send(await answer(request));
  }
  busy = false;
}

async function answer(request: RunRequest): Promise<FromEngine> {
  const { id } = request;
  if (runner === null) {
    return { type: 'failed', id, error: 'run_failed', message: 'the engine is not loaded' };
  }
  try {
    const values = await runner(request);
    return { type: 'done', id, ...values };
  } catch (thrown) {
    const message = messageOf(thrown);
    const error = classifyRunError(message);
    if (error === 'device_lost') exitWith(message);
    return { type: 'failed', id, error, message };
  }
}

/** Seen by the supervisor as a crash, with the message as the end of stderr. */
function exitWith(message: string): never {
  writeSync(process.stderr.fd, `${message}\n`);
  process.exit(1);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Resolves when the message is written, or cannot be: then `disconnect` ends the process. */
function send(message: FromEngine): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve();
    process.send(message, undefined, undefined, () => resolve());
  });
}
