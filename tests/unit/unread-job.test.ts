import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readJobHead } from '@headrace/shared/stored-payload.ts';
import {
  endOfUnread,
  MOST_PUT_OFF,
  putOffDelayMs,
} from '../../apps/worker/src/consumers/unread-job.ts';

const stored = { v: 3, tenant: 'a', model: 'm@1', created_ms: 1_000, ttl_s: 60, rows: 'elsewhere' };

function endAt(nowMs: number, timesPutOff: number) {
  const payload = readJobHead(JSON.stringify(stored));
  assert.ok(payload);
  const times = { attempts: 0, startedMs: nowMs, nowMs, resultTtlMs: 1_000 };
  const facts = { id: 'job_1', task: 'embeddings', variant: 'fp32', ...times, payload };
  return endOfUnread(facts, timesPutOff)?.record.job ?? null;
}

describe('a job that the worker cannot read', () => {
  test('waits until its time to live is over, and says then what it waited for', () => {
    assert.equal(endAt(60_999, MOST_PUT_OFF - 1), null);
    const job = endAt(61_000, 0);
    assert.deepEqual([job?.status, job?.error?.code], ['expired', 'expired']);
    assert.match(job?.error?.message ?? '', /version 3, this worker reads up to version 1/);
  });

  test('fails when it was put off often enough', () => {
    const job = endAt(1_000, MOST_PUT_OFF);
    assert.deepEqual([job?.status, job?.error?.code], ['failed', 'unsupported_payload']);
  });

  test('is put off for about an hour in all, and for a minute or so at most', () => {
    const delays = Array.from({ length: MOST_PUT_OFF }, (_, i) => putOffDelayMs(i));
    const hours = delays.reduce((sum, ms) => sum + ms, 0) / 3_600_000;
    assert.ok(hours > 0.7 && hours < 1.3, String(hours));
    assert.ok(Math.max(...delays) <= 75_000);
    assert.ok((delays[0] ?? 0) < 2_000);
  });

  test('has no head without what says whose it is', () => {
    for (const missing of ['v', 'tenant', 'model', 'created_ms', 'ttl_s']) {
      const rest = Object.entries(stored).filter(([name]) => name !== missing);
      assert.equal(readJobHead(JSON.stringify(Object.fromEntries(rest))), null, missing);
    }
    assert.equal(readJobHead('{"v":'), null);
  });
});
