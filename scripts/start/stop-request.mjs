const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);

// npm passes a Ctrl-C on that the terminal has sent here as well: the two are one.
const SAME_REQUEST_MS = 1_500;

/**
 * Turns signals into one request to stop.
 * @param {{ onImpatience: () => void }} options called when a signal comes again, some time later
 * @returns {{ requested: Promise<void>, signal: AbortSignal, request: () => void }}
 *   the handlers stay: a signal must not end this process while it stops the others
 */
export function listenForStop({ onImpatience }) {
  const controller = new AbortController();
  const requested = /** @type {Promise<void>} */ (
    new Promise((resolve) => controller.signal.addEventListener('abort', () => resolve()))
  );
  let firstAt = Number.POSITIVE_INFINITY;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (performance.now() - firstAt > SAME_REQUEST_MS) onImpatience();
      firstAt = Math.min(firstAt, performance.now());
      controller.abort();
    });
  }
  return { requested, signal: controller.signal, request: () => controller.abort() };
}
