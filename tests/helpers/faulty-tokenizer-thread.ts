/**
 * The tokenizer thread with faults that the first word of a text asks for. It wraps the port that
 * the real entry listens on before that entry is loaded.
 */
import { getEnvironmentData, parentPort } from 'node:worker_threads';

const FAULTS = new Map([
  ['crash', () => process.exit(7)],
  [
    'throw',
    () => {
      throw new TypeError('a text of the user');
    },
  ],
  ['exhaust', exhaust],
  ['hold', hold],
]);

if (parentPort === null) throw new Error('this is the entry of a thread');
const listen = parentPort.on.bind(parentPort);
Object.assign(parentPort, {
  on: (event: 'message', listener: (message: unknown) => void) =>
    listen(event, (message: unknown) => {
      for (const text of textsOf(message)) FAULTS.get(text.split(' ')[0] ?? '')?.();
      listener(message);
    }),
});
await import('../../apps/worker/src/inference/tokenizer/tokenizer-thread.ts');

function textsOf(message: unknown): string[] {
  if (typeof message !== 'object' || message === null || !('rows' in message)) return [];
  return Array.isArray(message.rows) ? message.rows.map((row) => row.input.text ?? '') : [];
}

/** Fills the thread's heap. */
function exhaust(): void {
  for (const kept: number[][] = []; ; ) kept.push(new Array(10_000).fill(kept.length));
}

/** Waits at the gate `[begun, open]` that the test has put in the environment data. */
function hold(): void {
  const gate = getEnvironmentData('gate');
  if (!(gate instanceof Int32Array)) throw new Error('there is no gate');
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  Atomics.wait(gate, 1, 0);
}
