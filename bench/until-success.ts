import { setTimeout as sleep } from 'node:timers/promises';

const MAX_TRIES = 400;
const RETRY_MS = 25;

/** For what tells nobody when it is ready. @throws what the last of many tries threw */
export async function untilSuccess(task: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await task();
      return;
    } catch (error) {
      if (tries === MAX_TRIES) throw error;
      await sleep(RETRY_MS);
    }
  }
}
