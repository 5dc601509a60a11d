import { setTimeout as sleep } from 'node:timers/promises';
import { SetupError } from '../setup/setup-error.mjs';

const WINDOW_MS = 60_000;
const MOST_RESTARTS = 5;
const FIRST_DELAY_MS = 500;

/**
 * @typedef {object} Part
 * @property {string} name
 * @property {string} logFile
 * @property {(signal: AbortSignal) => Promise<Running>} launch resolves when it is ready; the
 *   signal ends one that is not yet ready
 *
 * @typedef {object} Running
 * @property {Promise<unknown>} exited
 * @property {() => string[]} lastLines of its log
 * @property {() => Promise<unknown>} stop
 * @property {() => unknown} kill
 * @property {Record<string, unknown>} [ready] what it said when it was ready
 */

/** Keeps one part running until it is stopped: starts it again when it ends by itself. */
export class Supervisor {
  #part;
  #options;
  /** @type {Promise<Running> | null} */
  #launching = null;
  /** @type {Running | null} */
  #running = null;
  /** @type {Error | null} */
  #launchError = null;
  /** @type {number[]} */
  #exits = [];

  /**
   * @param {Part} part
   * @param {object} options
   * @param {import('./terminal.mjs').Terminal} options.terminal
   * @param {AbortSignal} options.signal once aborted, nothing is started again
   * @param {(error: Error) => void} options.onGiveUp it has ended too often
   * @param {number} [options.firstDelayMs] before the first new start; doubles each time
   */
  constructor(part, options) {
    this.#part = part;
    this.#options = options;
  }

  /**
   * @returns {Promise<Running>} when it is ready
   * @throws when it ends before; that is not tried again, since nobody relies on it yet
   */
  async start() {
    const running = await this.#launch();
    this.#keep(running).catch(this.#options.onGiveUp);
    return running;
  }

  async stop() {
    const running = await this.#launching?.catch(() => null);
    await running?.stop();
  }

  kill() {
    this.#running?.kill();
  }

  async #launch() {
    this.#launching = this.#part.launch(this.#options.signal);
    this.#running = await this.#launching;
    this.#launchError = null;
    return this.#running;
  }

  /** @param {Running} first */
  async #keep(first) {
    const { signal } = this.#options;
    /** @type {Running | null} */
    let running = first;
    while (!signal.aborted) {
      await running?.exited;
      if (signal.aborted) return;
      await this.#backOff(first);
      if (signal.aborted) return;
      // One that does not become ready counts like one that ends.
      running = await this.#launch().catch((error) => {
        this.#launchError = error;
        return null;
      });
    }
  }

  /** @param {Running} first */
  async #backOff(first) {
    const { terminal, signal, firstDelayMs = FIRST_DELAY_MS } = this.#options;
    const { name, logFile } = this.#part;
    const now = performance.now();
    this.#exits = [...this.#exits.filter((at) => now - at < WINDOW_MS), now];
    if (this.#exits.length > MOST_RESTARTS) {
      const last = this.#launchError?.message ?? indent((this.#running ?? first).lastLines());
      const often = `${name} ended ${this.#exits.length} times within a minute, lastly:`;
      throw new SetupError(`${often}\n${last}\nThe whole log: ${logFile}`);
    }
    const delayMs = firstDelayMs * 2 ** (this.#exits.length - 1);
    terminal.say(`${name} has ended unexpectedly: starting it again in ${delayMs / 1000} s`);
    await sleep(delayMs, undefined, { signal }).catch(() => {});
  }
}

/** @param {string[]} lines */
export function indent(lines) {
  return lines.map((line) => `  ${line}`).join('\n');
}
