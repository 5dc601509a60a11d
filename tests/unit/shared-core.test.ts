import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError, flag, integer, parseEnv } from '@headrace/shared/env.ts';
import { AppError, ERROR_CODES, errorBody } from '@headrace/shared/errors.ts';
import { costOf, scoreOf, startTimeOf } from '@headrace/shared/fair-order.ts';
import {
  batchFileId,
  firstJobIdAt,
  isFileId,
  isJobId,
  newBatchId,
  newJobId,
} from '@headrace/shared/ids.ts';
import { finishedRecord } from '@headrace/shared/jobs.ts';
import { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { createTextDigest, createThrottle } from '@headrace/shared/logger.ts';
import { JobPayloadSchema } from '@headrace/shared/queues.ts';
import { redisFailure } from '@headrace/shared/redis.ts';
import { encodeRecord, StoredRecord } from '@headrace/shared/stored-record.ts';
import { createTick } from '@headrace/shared/tick.ts';
import { z } from 'zod';

describe('job ids', () => {
  test('sort by time and are never alike', () => {
    const ids = Array.from({ length: 2_000 }, (_, i) => newJobId(1_700_000_000_000 + i));
    assert.deepEqual([...ids].sort(), ids);
    assert.equal(new Set(ids.map((id) => id.slice(14))).size, ids.length);
    assert.ok(ids.every(isJobId));
  });

  test('of one millisecond sort in the order they were made', () => {
    const ids = Array.from({ length: 1_000 }, () => newJobId(1_700_000_000_000));
    assert.deepEqual([...ids].sort(), ids);
    assert.equal(new Set(Array.from({ length: 5_000 }, () => newJobId(1))).size, 5_000);
  });

  test('lie behind the first id of their millisecond', () => {
    assert.ok(firstJobIdAt(1_000) <= newJobId(1_000));
    assert.ok(newJobId(999) < firstJobIdAt(1_000));
  });

  test('are told from hostile names', () => {
    for (const name of ['meta', 'completed', 'job_', `job_${'u'.repeat(26)}`, 'job_../../x', '']) {
      assert.equal(isJobId(name), false, name);
    }
  });
});

describe('the ids of files that a batch makes', () => {
  test('are the same each time, two of a batch, and those of no other one', () => {
    const batches = Array.from({ length: 500 }, () => newBatchId(1_700_000_000_000));
    const ids = () =>
      batches.flatMap((batch) => [batchFileId(batch, 'output'), batchFileId(batch, 'errors')]);
    assert.deepEqual(ids(), ids());
    assert.equal(new Set(ids()).size, 1_000);
    assert.ok(ids().every(isFileId));
  });

  test('sort among the files of the time when the batch was created', () => {
    const [early, late] = [newBatchId(1_700_000_000_000), newBatchId(1_700_000_000_001)];
    assert.ok(batchFileId(early, 'output') < batchFileId(late, 'errors'));
  });
});

describe('a stored record', () => {
  const payload = JobPayloadSchema.parse({
    v: 1,
    tenant: 'default',
    model: 'm@1',
    rows: [{ text: '"retry":null,"job":{}', text_pair: null }],
    parameters: {},
    priority: 'normal',
    ttl_s: 60,
    timeout_s: 60,
    metadata: { note: '"job":' },
    created_ms: 1,
    tokens: 1,
    retry_of: null,
  });
  const times = { task: 'embeddings', nowMs: 2, resultTtlMs: 1_000, attempts: 1, startedMs: 1 };

  for (const status of ['succeeded', 'failed'] as const) {
    for (const tenant of ['default', 'a"b\\', '']) {
      test(`gives the job of a ${status} one of tenant ${tenant} as it was written`, () => {
        const record = finishedRecord('job_1', { ...payload, tenant }, { ...times, status });
        const stored = new StoredRecord(encodeRecord(record));
        assert.equal(stored.jobJson, JSON.stringify(record.job));
        assert.deepEqual(
          { tenant: stored.tenant, job: stored.job, retry: stored.retry },
          JSON.parse(JSON.stringify(record)),
        );
      });
    }
  }

  test('of an earlier form is read too', () => {
    const record = finishedRecord('job_1', payload, { ...times, status: 'succeeded' });
    const { tenant, job, retry } = record;
    const stored = new StoredRecord(JSON.stringify({ tenant, job, retry }));
    assert.equal(stored.jobJson, JSON.stringify(job));
  });
});

describe('environment', () => {
  const schema = z.object({
    PORT: integer(1, 10).default(8),
    ON: flag.default(false),
    URL: z.url(),
  });

  test('takes an empty variable for an absent one', () => {
    const parsed = parseEnv(schema, { PORT: '', URL: 'http://a' });
    assert.deepEqual(parsed, { PORT: 8, ON: false, URL: 'http://a' });
  });

  test('reports every problem at once and no value', () => {
    const env = { PORT: '11', ON: 'maybe', URL: 's3cret' };
    assert.throws(
      () => parseEnv(schema, env),
      (error) => {
        assert.ok(error instanceof ConfigError);
        for (const name of Object.keys(env)) assert.match(error.message, new RegExp(`\\b${name}:`));
        assert.doesNotMatch(error.message, /s3cret/);
        return true;
      },
    );
  });
});

describe('error catalogue', () => {
  test('gives every code a body with a text of its own', () => {
    const messages = ERROR_CODES.map((code) => errorBody(code).message);
    assert.equal(new Set(messages).size, ERROR_CODES.length);
  });

  test('keeps the cause and says what is retryable', () => {
    const cause = new Error('inner');
    const error = new AppError('redis_unavailable', { cause, retryAfterS: 1 });
    assert.equal(error.cause, cause);
    assert.equal(error.status, 503);
    assert.equal(error.retryable, true);
  });

  test('tells failures of Redis from our own', () => {
    assert.equal(redisFailure(new Error('Command timed out'))?.code, 'redis_unavailable');
    assert.equal(redisFailure(new Error('READONLY You cannot write'))?.code, 'redis_unavailable');
    assert.equal(redisFailure(new Error('OOM command not allowed'))?.code, 'storage_nearly_full');
    assert.equal(redisFailure(new TypeError('x is not a function')), null);
  });
});

describe('order of work', () => {
  test('costs a high class a tenth of a normal row, and a low one ten', () => {
    assert.deepEqual(
      (['high', 'normal', 'low'] as const).map((priority) => costOf(20, priority)),
      [2, 20, 200],
    );
  });

  test('costs a tenant of twice the weight half', () => {
    assert.equal(costOf(20, 'normal', 2), 10);
  });

  test('knows what start time a score stands for, to a fraction of a row', () => {
    const scores = [0, 1, 2, 1.5].map(scoreOf);
    assert.deepEqual(scores.map(startTimeOf), [0, 0, 65_536, 32_768]);
    assert.equal(startTimeOf(scoreOf(1) + 65_536), 1);
  });
});

describe('lifecycle', () => {
  test('gives back in reverse order, all of it, whatever fails', async () => {
    const undone: string[] = [];
    const failed: string[] = [];
    const lifecycle = new Lifecycle((name) => failed.push(name));
    lifecycle.push('first', () => undone.push('first'));
    lifecycle.push('second', () => Promise.reject(new Error('no')));
    lifecycle.push('third', () => undone.push('third'));
    assert.equal(await lifecycle.stop(10_000), true);
    assert.deepEqual(undone, ['third', 'first']);
    assert.deepEqual(failed, ['second']);
  });

  test('stops once, however often it is told to', async () => {
    let count = 0;
    const lifecycle = new Lifecycle(() => undefined);
    lifecycle.push('only', () => {
      count += 1;
    });
    await Promise.all([lifecycle.stop(10_000), lifecycle.stop(10_000)]);
    assert.equal(count, 1);
  });

  test('says so when the deadline passes first', async () => {
    const lifecycle = new Lifecycle(() => undefined);
    lifecycle.push('never', () => new Promise(() => undefined));
    assert.equal(await lifecycle.stop(1), false);
  });
});

describe('logger', () => {
  test('stands for a text with a digest of its key', () => {
    const digest = createTextDigest('a key of sixteen');
    assert.equal(digest('text'), digest('text'));
    assert.notEqual(digest('text'), digest('other'));
    assert.notEqual(digest('text'), createTextDigest('another key, longer')('text'));
  });

  test('logs a flood once and says how much it swallowed', () => {
    let now = 0;
    const logged: number[] = [];
    const throttle = createThrottle(1_000, () => now);
    for (let i = 0; i < 5; i++) throttle('flood', (swallowed) => logged.push(swallowed));
    now = 1_000;
    throttle('flood', (swallowed) => logged.push(swallowed));
    assert.deepEqual(logged, [0, 4]);
  });
});

test('a tick gathers the calls of one turn', async () => {
  const flushed: number[][] = [];
  const add = createTick<number>((items) => flushed.push(items));
  add(1);
  add(2);
  await new Promise((resolve) => setImmediate(resolve));
  add(3);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(flushed, [[1, 2], [3]]);
});
