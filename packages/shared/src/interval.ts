/**
 * Runs `step` now and again `everyMs` after each run has ended, so that slow runs never overlap.
 * @returns how to stop; resolves when a run in progress has ended
 */
export function startInterval(
  everyMs: number,
  step: () => Promise<unknown>,
  onError: (error: unknown) => void,
): () => Promise<void> {
  let stopped = false;
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> = Promise.resolve();

  const run = async () => {
    try {
      await step();
    } catch (error) {
      onError(error);
    }
    if (!stopped) timer = setTimeout(start, everyMs);
  };
  const start = () => {
    running = run();
  };

  start();
  return () => {
    stopped = true;
    if (timer) clearTimeout(timer);
    return running;
  };
}
