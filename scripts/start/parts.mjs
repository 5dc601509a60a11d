import { totalmem } from 'node:os';
import { join } from 'node:path';
import { chooseRedisUrl, startRedisProcess } from '../redis/redis-process.mjs';
import { openLogFile } from './log-file.mjs';
import { launchService } from './service-process.mjs';

// A worker whose `npm start` was killed gives its jobs back before Redis goes.
const REDIS_GRACE_S = 5;

// How much longer than its own deadline a service may take to stop.
const KILL_AFTER_S = 15;
const DISPATCHER_STOP_S = 10;

/**
 * @typedef {import('./start.mjs').Context} Context
 * @typedef {import('./supervisor.mjs').Part} Part
 */

/**
 * A Redis of our own, which keeps its data from start to start.
 * @param {string} binary
 * @param {Context} context
 * @returns {Promise<{ url: string, part: Part }>}
 */
export async function redisPart(binary, { home }) {
  const folder = join(home, 'redis');
  const url = await chooseRedisUrl(folder);
  const logFile = logFileOf('redis', home);
  const onLine = openLogFile(logFile);
  const settings = {
    appendonly: 'yes',
    appendfsync: 'everysec',
    // Admission is measured against a limit: without one, the machine's memory would be it.
    maxmemory: String(Math.floor(memoryBytes() / 4)),
  };
  const launch = () =>
    startRedisProcess({ binary, folder, url, settings, onLine, graceS: REDIS_GRACE_S });
  return { url, part: { name: 'redis', logFile, launch } };
}

/**
 * @param {string} redisUrl
 * @param {Context} context
 * @returns {Part}
 */
export function workerPart(redisUrl, context) {
  const { HEADRACE_PROBES_PORT = '0', HEADRACE_DRAIN_TIMEOUT_S } = context.env;
  const service = {
    script: 'apps/worker/src/main.ts',
    // With a model that does not load it serves the others; /ready of the API tells the rest.
    readyEvents: ['worker.ready', 'worker.not_ready'],
    env: { REDIS_URL: redisUrl, HEADRACE_PROBES_PORT, ...blobsOf(context) },
    stopDeadlineS: Number(HEADRACE_DRAIN_TIMEOUT_S || 25) + KILL_AFTER_S,
  };
  return servicePart('worker', service, context);
}

/**
 * @param {string} redisUrl
 * @param {Context} context
 * @returns {Part}
 */
export function dispatcherPart(redisUrl, context) {
  const { HEADRACE_DISPATCHER_PROBES_PORT = '0' } = context.env;
  const service = {
    script: 'apps/dispatcher/src/main.ts',
    readyEvents: ['dispatcher.ready'],
    env: { REDIS_URL: redisUrl, HEADRACE_DISPATCHER_PROBES_PORT, ...blobsOf(context) },
    stopDeadlineS: DISPATCHER_STOP_S + KILL_AFTER_S,
  };
  return servicePart('dispatcher', service, context);
}

/**
 * @param {string} redisUrl
 * @param {Context} context
 * @returns {Part}
 */
export function apiPart(redisUrl, context) {
  /** @type {NodeJS.ProcessEnv} */
  const env = { REDIS_URL: redisUrl, ...blobsOf(context) };
  // Nobody sends it requests by way of others, who would have to hear that it stops.
  env.HEADRACE_LINGER_MS = context.env.HEADRACE_LINGER_MS || '0';
  const service = {
    script: 'apps/api/src/main.ts',
    readyEvents: ['api.listening'],
    env,
    stopDeadlineS: Number(context.env.HEADRACE_DRAIN_S || 5) + KILL_AFTER_S,
  };
  const part = servicePart('api', service, context);
  return {
    ...part,
    launch: async (signal) => {
      const running = await part.launch(signal);
      // With PORT=0 the first start chose one: a later one has to answer there too.
      env.PORT = String(running.ready?.port);
      return running;
    },
  };
}

/**
 * Files beside the data of our Redis, unless the user has another place for them.
 * @param {Context} context
 */
function blobsOf({ home, env }) {
  return { HEADRACE_BLOBS: env.HEADRACE_BLOBS || join(home, 'blobs') };
}

/**
 * @param {string} name
 * @param {Omit<import('./service-process.mjs').Service, 'name' | 'onLine'>} service
 * @param {Context} context
 * @returns {Part}
 */
function servicePart(name, service, { home, env, terminal }) {
  const logFile = logFileOf(name, home);
  const write = openLogFile(logFile);
  const onLine = (/** @type {string} */ line) => {
    write(line);
    terminal.log(name, line);
  };
  const launch = (/** @type {AbortSignal} */ signal) =>
    launchService({ ...service, name, env: { ...env, ...service.env }, onLine }, signal);
  return { name, logFile, launch };
}

/**
 * @param {string} name
 * @param {string} home
 */
function logFileOf(name, home) {
  return join(home, 'logs', `${name}.log`);
}

/** The machine's memory, or the container's limit if that is less. */
function memoryBytes() {
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}
