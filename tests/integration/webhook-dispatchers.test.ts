import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answers } from '../helpers/receiver.ts';
import { startWebhookSystem, type WebhookSystem } from '../helpers/webhooks.ts';

const DISPATCHERS = 3;
const JOBS = 120;

let system: WebhookSystem;
before(async () => {
  system = await startWebhookSystem();
  for (let i = 1; i < DISPATCHERS; i++) await system.startDispatcher();
});
after(() => system.stop());

const settled = ({ status }: { status: string }) => status !== 'pending';

test('three dispatchers send each event once for each attempt', async () => {
  const { receiver, until, finishedJob } = system;
  receiver.on('/thrice', answers(500, 503));
  const made = await Promise.all(Array.from({ length: JOBS }, () => finishedJob('/thrice')));
  await receiver.until('/thrice', 3 * JOBS);
  for (const { delivery } of made) {
    const { status, attempt_count } = await until(delivery, settled);
    assert.deepEqual([status, attempt_count], ['delivered', 3]);
  }
  const sent = Map.groupBy(receiver.at('/thrice'), ({ id }) => id);
  assert.equal(sent.size, JOBS);
  assert.ok([...sent.values()].every((attempts) => attempts.length === 3));
});

test('an attempt that a dispatcher breaks off at its end is made by another one', async () => {
  const { receiver, until, finishedJob, startDispatcher } = system;
  const arrived = Promise.withResolvers<void>();
  receiver.on('/broken-off', (response, attempt) => {
    if (attempt > 1) response.writeHead(204).end();
    else arrived.resolve();
  });
  const { delivery } = await finishedJob('/broken-off');
  await arrived.promise;
  await startDispatcher();
  await system.stopDispatchers(DISPATCHERS);
  const { status, attempt_count } = await until(delivery, settled);
  assert.deepEqual([status, attempt_count], ['delivered', 1]);
});
