import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, JobClient } from './job-client.ts';

export interface Probes {
  /** Ends them. @returns every answer, in the order of arrival; `status` 0 for a broken connection */
  stop(): Promise<Answer[]>;
}

const EVERY_MS = 100;
const CALLERS = 4;

/** Callers who submit a job every 100 ms and take whatever answer comes. */
export function startProbes(client: JobClient): Probes {
  const answers: Answer[] = [];
  let running = true;
  const loop = async () => {
    while (running) {
      answers.push(await probe(client));
      await sleep(EVERY_MS);
    }
  };
  const done = Promise.all(Array.from({ length: CALLERS }, loop));
  return {
    async stop() {
      running = false;
      await done;
      return answers;
    },
  };
}

/** Submits and waits until a job is answered, as often as needed. @returns milliseconds it took */
export async function untilServed(client: JobClient): Promise<number> {
  const began = performance.now();
  for (;;) {
    const { status } = await probe(client, { prefer: 'wait=1' });
    if (status === 200) return performance.now() - began;
    await sleep(EVERY_MS / 2);
  }
}

async function probe(client: JobClient, headers: Record<string, string> = {}): Promise<Answer> {
  try {
    const body = { input: 'is it served' };
    return await client.call('/v1/jobs', { method: 'POST', body, headers });
  } catch {
    return { status: 0, retryAfterS: null, replayed: false, body: null, ms: 0 };
  }
}

/** A refusal as the contract promises it: 503, and when to come back. */
export function isRefusal({ status, retryAfterS }: Answer): boolean {
  return status === 503 && retryAfterS !== null;
}
