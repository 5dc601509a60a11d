import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SetupError } from '../setup/setup-error.mjs';

const DEFAULT_PORT = 8000;
// The worker is ready before; the API hears of that with the next heartbeat.
const SERVING_DEADLINE_MS = 20_000;

/**
 * Says what to do about a port that is taken, before the API fails on it.
 * @param {NodeJS.ProcessEnv} env
 * @throws SetupError
 */
export async function checkPort(env) {
  const port = Number(env.PORT || DEFAULT_PORT);
  // What makes no sense is reported by the API, with all else that is wrong.
  if (!Number.isInteger(port) || port < 0 || port > 65_535) return;
  const code = await tryToListen(port, hostOf(env));
  if (code !== 'EADDRINUSE' && code !== 'EACCES') return;
  const why = code === 'EACCES' ? 'may not be used by this user' : 'is used by another program';
  throw new SetupError(
    `Port ${port} ${why}. Choose another one:\n  PORT=${port < 1024 ? 8000 : port + 1} npm start`,
  );
}

/**
 * @param {number} port
 * @param {string} host
 * @returns {Promise<string | null>} why not
 */
function tryToListen(port, host) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve('code' in error ? String(error.code) : null));
    server.listen(port, host, () => server.close(() => resolve(null)));
  });
}

/**
 * Waits until the API would serve a request: it has to hear of the worker first.
 * @param {NodeJS.ProcessEnv} env
 * @param {Record<string, unknown>} [listening] the API's event, with the port
 * @param {AbortSignal} [signal]
 * @returns {Promise<string>} the address to call
 * @throws SetupError that says what is missing
 */
export async function waitUntilServing(env, listening, signal) {
  const host = ['0.0.0.0', '::'].includes(hostOf(env)) ? '127.0.0.1' : hostOf(env);
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${listening?.port}`;
  const deadline = performance.now() + SERVING_DEADLINE_MS;
  let answer = '';
  let delayMs = 25;
  while (performance.now() < deadline) {
    signal?.throwIfAborted();
    const response = await fetch(`${url}/ready`).catch(() => null);
    answer = (await response?.text().catch(() => '')) ?? '';
    if (response?.ok) return url;
    await sleep(delayMs);
    delayMs = Math.min(delayMs * 2, 500);
  }
  throw new SetupError(`${url}/ready does not become ready. It answers:\n  ${answer}`);
}

/** @param {NodeJS.ProcessEnv} env */
function hostOf(env) {
  return env.HOST || '127.0.0.1';
}
