import { join, resolve } from 'node:path';
import { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { checkExternalRedis } from '../redis/external-redis.mjs';
import { TOOLS } from '../setup/paths.mjs';
import { tryLock } from '../setup/process-lock.mjs';
import { SetupError } from '../setup/setup-error.mjs';
import { apiPart, dispatcherPart, redisPart, workerPart } from './parts.mjs';
import { checkPort, waitUntilServing } from './readiness.mjs';
import { describeRunning, recordRunning } from './running.mjs';
import { screen } from './screen.mjs';
import { listenForStop } from './stop-request.mjs';
import { Supervisor } from './supervisor.mjs';
import { createTerminal } from './terminal.mjs';

// No bound that matters: each part is killed at a deadline of its own.
const STOP_DEADLINE_MS = 86_400_000;

/**
 * What the steps of a start share.
 * @typedef {object} Context
 * @property {string} home folder of data, logs and lock
 * @property {NodeJS.ProcessEnv} env
 * @property {import('./terminal.mjs').Terminal} terminal
 * @property {AbortSignal} signal aborted when all has to stop; nothing may be started after
 * @property {(part: import('./supervisor.mjs').Part) => Supervisor} supervise
 *   the last one supervised is the first one stopped
 */

/**
 * Runs Redis, dispatcher, worker and API until a signal comes or one of them cannot be kept running.
 * @param {{ redisServer: string | null, env: NodeJS.ProcessEnv }} options
 *   `redisServer` is null when REDIS_URL names a Redis of the user's
 * @returns {Promise<number>} exit code: 0 after a signal, and when it is running already
 */
export async function start({ redisServer, env }) {
  const home = env.HEADRACE_HOME ? resolve(env.HEADRACE_HOME) : TOOLS;
  const lock = tryLock(join(home, 'start.lock'));
  if ('heldBy' in lock) {
    console.log(describeRunning(home, lock.heldBy));
    return 0;
  }
  const terminal = createTerminal({ showAll: env.HEADRACE_LOG === 'stdout' });
  const lifecycle = new Lifecycle((name, error) => terminal.say(`${name} did not stop: ${error}`));
  lifecycle.push('lock', lock.release);
  /** @type {Supervisor[]} */
  const parts = [];
  const killAll = () => {
    for (const part of parts) part.kill();
  };
  const stop = listenForStop({ onImpatience: killAll });
  const failure = /** @type {PromiseWithResolvers<never>} */ (Promise.withResolvers());
  /** @type {Context['supervise']} */
  const supervise = (part) => {
    const options = { terminal, signal: stop.signal, onGiveUp: failure.reject };
    const supervisor = new Supervisor(part, options);
    parts.push(supervisor);
    lifecycle.push(part.name, () => supervisor.stop());
    return supervisor;
  };
  const context = { home, env, terminal, signal: stop.signal, supervise };
  const up = bringUp(context, redisServer).then(() => failure.promise);
  let exitCode = 0;
  try {
    await Promise.race([up, failure.promise, stop.requested]);
  } catch (error) {
    terminal.say(`\n${explain(error)}`);
    exitCode = 1;
  }
  terminal.say('\nStopping …');
  stop.request();
  const clean = await lifecycle.stop(STOP_DEADLINE_MS);
  terminal.say(clean ? 'Stopped.' : 'A part did not stop in time.');
  return clean ? exitCode : 1;
}

/**
 * @param {Context} context
 * @param {string | null} redisServer
 * @throws Error that says why a part does not start
 */
async function bringUp(context, redisServer) {
  const { home, env, terminal, signal, supervise } = context;
  const startedAt = performance.now();
  terminal.say('Starting …');
  const redisUrl = redisServer
    ? await startOwnRedis(context, redisServer)
    : await useExternalRedis(context);
  signal.throwIfAborted();
  await checkPort(env);
  signal.throwIfAborted();
  const dispatcher = supervise(dispatcherPart(redisUrl, context));
  // The API is stopped first, so that nothing new comes in while the worker finishes.
  const worker = supervise(workerPart(redisUrl, context));
  const api = supervise(apiPart(redisUrl, context));
  const [{ ready }] = await Promise.all([api.start(), worker.start(), dispatcher.start()]);
  const url = await waitUntilServing(env, ready, signal);
  const readyS = (performance.now() - startedAt) / 1000;
  recordRunning(home, url);
  terminal.say(screen({ url, readyS, home }));
}

/**
 * @param {Context} context
 * @param {string} binary
 */
async function startOwnRedis(context, binary) {
  const { url, part } = await redisPart(binary, context);
  await context.supervise(part).start();
  return url;
}

/** @param {Context} context */
async function useExternalRedis({ env, terminal }) {
  const url = env.REDIS_URL ?? '';
  for (const warning of await checkExternalRedis(url)) terminal.say(warning);
  return url;
}

/** @param {unknown} error */
function explain(error) {
  if (error instanceof SetupError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
