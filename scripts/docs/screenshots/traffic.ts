import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@headrace/client';

const MOST_ROWS = 4;
const PAUSE_MS = 250;

/** Sends small jobs to both models, one after the other, until it is told to stop. */
export async function sendJobs(url: string, texts: string[], signal: AbortSignal): Promise<void> {
  const client = createClient({ baseUrl: url });
  for (let i = 0; !signal.aborted; i += 1) {
    const rows = 1 + (i % MOST_ROWS);
    const at = (i * MOST_ROWS) % (texts.length - rows);
    const model = i % 2 === 0 ? 'sentiment' : 'minilm';
    const { id } = await client.jobs.submit({ model, input: texts.slice(at, at + rows) });
    await client.jobs.wait(id);
    await sleep(PAUSE_MS);
  }
}
