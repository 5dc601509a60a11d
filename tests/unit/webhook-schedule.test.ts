import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseDispatcherConfig } from '../../apps/dispatcher/src/config.ts';
import { ReceiverSlots } from '../../apps/dispatcher/src/webhooks/receiver-slots.ts';
import { nextDelayMs, parseRetryAfter } from '../../apps/dispatcher/src/webhooks/schedule.ts';

const MINUTE = 60;
const HOUR = 3_600;
const SCHEDULE_S = [
  ...[0, 5, 30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE],
  ...[HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR],
];
const SCHEDULE_MS = SCHEDULE_S.map((s) => s * 1000);

describe('the schedule', () => {
  test('is that of the contract', () => {
    const { HEADRACE_WEBHOOK_SCHEDULE_S } = parseDispatcherConfig({});
    assert.deepEqual(HEADRACE_WEBHOOK_SCHEDULE_S.split(',').map(Number), SCHEDULE_S);
  });

  test('waits at least as long as it says, and up to a fifth longer', () => {
    for (const [attempts, planned] of SCHEDULE_MS.entries()) {
      const delay = (random: number) =>
        nextDelayMs(SCHEDULE_MS, { attempts, retryAfterMs: null, random });
      assert.equal(delay(0), planned);
      assert.equal(delay(1), planned * 1.2);
    }
  });

  test('is over after its last attempt', () => {
    const failure = { attempts: SCHEDULE_MS.length, retryAfterMs: 1_000, random: 0 };
    assert.equal(nextDelayMs(SCHEDULE_MS, failure), null);
  });

  test('obeys the receiver for an hour at most, and never comes earlier for it', () => {
    const delay = (attempts: number, retryAfterMs: number) =>
      nextDelayMs(SCHEDULE_MS, { attempts, retryAfterMs, random: 0 });
    assert.equal(delay(1, 60_000), 60_000);
    assert.equal(delay(1, 1_000), 5_000);
    assert.equal(delay(1, 86_400_000), HOUR * 1000);
    assert.equal(delay(8, 1_000), SCHEDULE_MS[8]);
  });

  test('is refused with the reason when it is none', () => {
    for (const schedule of ['5,30', '0,x', '0,,5', '0,-1', '0,1.5']) {
      const env = { HEADRACE_WEBHOOK_SCHEDULE_S: schedule };
      assert.throws(() => parseDispatcherConfig(env), /HEADRACE_WEBHOOK_SCHEDULE_S: .*waits in/s);
    }
  });
});

test('Retry-After is read as seconds and as a date, and else is none', () => {
  const nowMs = Date.UTC(2026, 0, 1);
  assert.equal(parseRetryAfter('120', nowMs), 120_000);
  assert.equal(parseRetryAfter('Thu, 01 Jan 2026 00:01:00 GMT', nowMs), 60_000);
  assert.equal(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', nowMs), 0);
  for (const header of [undefined, '', '-5', '1.5', 'soon', 'Thu, 99 Foo 2026', '2026-01-01']) {
    assert.equal(parseRetryAfter(header, nowMs), null, header);
  }
});

describe('the slots of receivers', () => {
  test('are as many for each as it may have, and pass on to whoever waits', async () => {
    const slots = new ReceiverSlots({ perReceiver: 1, patienceMs: 60_000 });
    const release = await slots.take('a');
    const other = await slots.take('b');
    const waiting = slots.take('a');
    release?.();
    const next = await waiting;
    assert.ok(next !== null && other !== null);
  });

  test('of one that is slow are not waited for', async () => {
    const slots = new ReceiverSlots({ perReceiver: 1, patienceMs: 0 });
    assert.ok(await slots.take('a'));
    assert.equal(await slots.take('a'), null);
    assert.ok(await slots.take('b'));
  });

  test('of one that is slow now and then are waited for', async () => {
    let nowMs = 0;
    const slots = new ReceiverSlots({ perReceiver: 3, patienceMs: 60_000, now: () => nowMs });
    assert.ok(await slots.take('a'));
    nowMs = 60_000;
    const [release] = await Promise.all([slots.take('a'), slots.take('a')]);
    const waiting = slots.take('a');
    release?.();
    assert.ok(await waiting);
    nowMs = 120_000;
    assert.equal(await slots.take('a'), null);
  });
});
