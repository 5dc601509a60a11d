/** A BullMQ worker that does nothing. Told a number, it says when it has completed so many jobs. */
import { Worker } from 'bullmq';
import { monotonicMs, openConnection } from '../bare-queue.ts';
import type { ServiceEnv } from '../system.ts';

/** As many as our worker holds. */
const CONCURRENCY = 256;

let wanted = Number.POSITIVE_INFINITY;
let completed = 0;

process.on('disconnect', () => process.exit(0));
process.on('message', (message: ServiceEnv | { count: number }) => {
  if ('count' in message) {
    wanted = message.count;
    completed = 0;
  } else {
    void start(message);
  }
});

async function start(env: ServiceEnv): Promise<void> {
  const worker = new Worker('bare', async () => {}, {
    connection: openConnection(env.REDIS_URL),
    prefix: env.HEADRACE_PREFIX,
    concurrency: CONCURRENCY,
    removeOnComplete: { count: 0 },
  });
  worker.on('completed', () => {
    completed += 1;
    if (completed === wanted) process.send?.(monotonicMs());
  });
  await worker.waitUntilReady();
  process.send?.('ready');
}
