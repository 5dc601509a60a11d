/** npm passes a Ctrl-C on that the terminal has sent here as well: the two are one. */
const SAME_PRESS_MS = 300;

interface InterruptsOptions {
  /** Called at the second Ctrl-C. */
  exit: () => void;
  now?: () => number;
}

/** Turns signals into one request to stop in good order, and a second one to stop at once. */
export function createInterrupts({
  exit,
  now = performance.now.bind(performance),
}: InterruptsOptions) {
  const controller = new AbortController();
  let firstAt = 0;
  return {
    signal: controller.signal,
    press(): void {
      if (!controller.signal.aborted) {
        firstAt = now();
        controller.abort();
      } else if (now() - firstAt > SAME_PRESS_MS) {
        exit();
      }
    },
  };
}
