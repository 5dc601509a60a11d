import { setTimeout as sleep } from 'node:timers/promises';

const GIVE_UP_MS = 20_000;
const ASK_AGAIN_MS = 50;

/** Waits until an API has heard of a worker that is ready. */
export async function untilReady(url: string): Promise<void> {
  const deadline = performance.now() + GIVE_UP_MS;
  for (;;) {
    const response = await fetch(`${url}/ready`);
    const text = await response.text();
    if (response.ok) return;
    if (performance.now() > deadline) throw new Error(`${url} does not become ready: ${text}`);
    await sleep(ASK_AGAIN_MS);
  }
}
