/** A BullMQ worker that does nothing. Told a number, it completes so many jobs and says how long. */
import { Worker } from 'bullmq';
import { openConnection } from '../bare-queue.ts';
import type { ServiceEnv } from '../system.ts';

/** As many as our worker holds. */
const CONCURRENCY = 256;

let env: ServiceEnv | null = null;

process.on('disconnect', () => process.exit(0));
process.on('message', (message: ServiceEnv | { count: number }) => {
  if ('count' in message) {
    void complete(message.count);
  } else {
    env = message;
    process.send?.('ready');
  }
});

async function complete(count: number): Promise<void> {
  if (!env) throw new Error('told to work before it was set up');
  const connection = openConnection(env.REDIS_URL);
  const worker = new Worker('bare', async () => {}, {
    connection,
    prefix: env.HEADRACE_PREFIX,
    concurrency: CONCURRENCY,
    removeOnComplete: { count: 0 },
    autorun: false,
  });
  await worker.waitUntilReady();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let completed = 0;
  worker.on('completed', () => {
    completed += 1;
    if (completed === count) end();
  });
  const began = performance.now();
  void worker.run();
  await ended;
  process.send?.(performance.now() - began);
  await worker.close();
  connection.disconnect();
}
