/**
 * One ONNX session and nothing around it: runs the tensor batches that it was given, over and over,
 * and reports the time of the first whole pass. Its sums with those of its siblings are the ceiling
 * that the whole of Headrace is measured against.
 */
import { setImmediate as turn } from 'node:timers/promises';
import ort from 'onnxruntime-node';
import type { RawBatch, RawPass, RawSetup, ToRawEngine } from '../raw-protocol.ts';

const WARM_UP_RUNS = 4;

let session: ort.InferenceSession | null = null;
let setup: RawSetup | null = null;
let stopped = false;

process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToRawEngine) => {
  if (message.type === 'load') void load(message.setup);
  else if (message.type === 'run') void run(message.batches);
  else stopped = true;
});

async function load(wanted: RawSetup): Promise<void> {
  setup = wanted;
  Object.assign(process.env, wanted.environment);
  session = await ort.InferenceSession.create(wanted.modelPath, wanted.sessionOptions);
  process.send?.('loaded');
}

async function run(batches: RawBatch[]): Promise<void> {
  if (session === null || setup === null) throw new Error('no session');
  stopped = false;
  const { inputs, output } = setup;
  const all = batches.map((batch) => feedsOf(batch, inputs));
  for (const feeds of all.slice(0, WARM_UP_RUNS)) await session.run(feeds, [output]);
  const cpu = process.cpuUsage();
  const began = performance.now();
  for (const feeds of all) {
    await session.run(feeds, [output]);
    await turn();
  }
  const { user, system } = process.cpuUsage(cpu);
  const pass: RawPass = { ms: performance.now() - began, cpuMs: (user + system) / 1000 };
  process.send?.(pass);
  // The siblings are still at it: without a load here they would have the machine to themselves.
  for (let at = 0; !stopped; at = (at + 1) % all.length) {
    // With more engines than batches there are some that have nothing to run.
    const feeds = all[at];
    if (feeds !== undefined) await session.run(feeds, [output]);
    await turn();
  }
  process.send?.('stopped');
}

function feedsOf({ rows, longest }: RawBatch, inputs: string[]): Record<string, ort.Tensor> {
  const filled = inputs.map((name) => {
    const cells = new BigInt64Array(rows.length * longest);
    for (const [i, ids] of rows.entries()) {
      if (name === 'token_type_ids') break;
      const values = name === 'attention_mask' ? ids.map(() => 1) : ids;
      cells.set(Array.from(values, BigInt), i * longest);
    }
    return [name, new ort.Tensor('int64', cells, [rows.length, longest])] as const;
  });
  return Object.fromEntries(filled);
}
