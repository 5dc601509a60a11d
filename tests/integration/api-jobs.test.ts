import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newJobId } from '@headrace/shared/ids.ts';
import { JobSchema } from '@headrace/shared/jobs.ts';
import { encodeRecord } from '@headrace/shared/stored-record.ts';
import { Worker } from 'bullmq';
import { z } from 'zod';
import { MODEL, QUEUE, startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

const Page = z.object({
  data: z.array(JobSchema),
  has_more: z.boolean(),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
});
const Failure = z.object({ error: z.object({ code: z.string(), param: z.string().nullable() }) });

let redis: TestRedis;
let api: TestApi;
before(async () => {
  redis = await startRedis();
  api = await startTestApi(redis.url);
});
after(async () => {
  await api.stop();
  await redis.stop();
});

async function failure(path: string, options?: Parameters<TestApi['send']>[1]) {
  const { status, body } = await api.send(path, options);
  return { status, ...Failure.parse(body).error };
}

async function list(query: string) {
  const { status, body } = await api.send(`/v1/jobs?${query}`);
  assert.equal(status, 200, JSON.stringify(body));
  return Page.parse(body);
}

describe('POST /v1/jobs', () => {
  test('answers 202 with the queued job and where to poll it', async () => {
    const { status, headers, body } = await api.send('/v1/jobs', { body: { input: 'good' } });
    const job = JobSchema.parse(body);
    assert.equal(status, 202);
    assert.equal(headers.get('location'), `/v1/jobs/${job.id}`);
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.equal(job.status, 'queued');
    assert.equal(job.model, MODEL);
    assert.deepEqual((await api.get(job.id)).metadata, {});
  });

  test('answers 200 as soon as the job that is waited for has finished', async () => {
    const metadata = { key: newJobId(Date.now()) };
    const waiting = api.send('/v1/jobs', {
      body: { input: 'good', metadata },
      headers: { prefer: 'respond-async, wait=30' },
    });
    await api.finish(await untilListed(metadata.key));
    const { status, headers, body } = await waiting;
    assert.equal(status, 200);
    assert.equal(headers.get('preference-applied'), 'wait=30');
    assert.equal(JobSchema.parse(body).status, 'succeeded');
  });

  test('answers 202 with the job as it is when the wait is over', async () => {
    const { status, headers, body } = await api.send('/v1/jobs', {
      body: { input: 'good' },
      headers: { prefer: 'wait=1' },
    });
    const job = JobSchema.parse(body);
    assert.equal(status, 202);
    assert.equal(headers.get('location'), `/v1/jobs/${job.id}`);
    assert.equal(job.status, 'queued');
    assert.ok(job.position !== null);
  });

  test('stops waiting when the caller goes away', async () => {
    const gone = new AbortController();
    const metadata = { key: newJobId(Date.now()) };
    const waiting = api.send('/v1/jobs', {
      body: { input: 'good', metadata },
      headers: { prefer: 'wait=60' },
      signal: gone.signal,
    });
    await untilListed(metadata.key);
    gone.abort();
    assert.equal((await waiting).status, 202);
  });

  test('gives the rows ahead as the position', async () => {
    const model = 'tiny-hidden';
    await api.submit({ model, input: ['a', 'b', 'c'] });
    const second = await api.submit({ model, input: 'd' });
    const { position, eta_s } = await api.get(second.id);
    assert.equal(position, 2);
    assert.equal(eta_s, null);
  });
});

/** The job with this `metadata.key`, once it is enqueued. */
async function untilListed(key: string) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const [job] = (await list(`metadata[key]=${key}`)).data;
    if (job) return job;
    assert.ok(Date.now() < deadline, 'the job was not submitted');
  }
}

describe('GET /v1/jobs/{id}', () => {
  test('long-polls until the job has finished', async () => {
    const job = await api.submit({ input: 'good' });
    const waiting = api.get(job.id, '?wait=30');
    await api.finish(job);
    assert.equal((await waiting).status, 'succeeded');
  });

  test('gives the job as it is when the wait is over', async () => {
    const job = await api.submit({ input: 'good' });
    assert.equal((await api.get(job.id, '?wait=1')).status, 'queued');
  });

  test('shows a job as running once a worker has fetched it', async () => {
    const job = await api.submit({ model: 'tiny-multilabel', input: 'good' });
    const started = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    const worker = new Worker(
      `infer.${job.model}`,
      async () => {
        started.resolve();
        await finish.promise;
      },
      { connection: api.redis, prefix: api.keys.prefix },
    );
    await started.promise;
    const running = await api.get(job.id);
    finish.resolve();
    await worker.close();
    assert.equal(running.status, 'running');
    assert.equal(running.attempts, 1);
    assert.equal(running.position, null);
    assert.ok(running.started_at);
  });

  test('says that a job has expired although no worker runs', async () => {
    const job = await api.submit({ input: 'good', ttl_s: 1 });
    const due = Date.now() + 1_100;
    while (Date.now() < due) await api.get(job.id, '?wait=1');
    const expired = await api.get(job.id);
    assert.equal(expired.status, 'expired');
    assert.equal(expired.error?.code, 'expired');
    assert.equal(await api.redis.exists(api.keys.bull(QUEUE, job.id)), 0);
  });

  test('has a job expire that no worker takes and nobody asks for', async () => {
    const job = await api.submit({ input: 'good', ttl_s: 1 });
    const patient = await api.submit({ input: 'good' });
    const due = Date.now() + 1_100;
    while (Date.now() < due) await api.redis.ping();
    await api.expire(job.id);
    assert.equal((await api.store.read(job.id))?.job.status, 'expired');
    assert.equal((await api.get(patient.id)).status, 'queued');
  });

  test('answers 404 once the result has expired', async () => {
    const job = await api.submit({ input: 'good' });
    await api.finish(job, { resultTtlMs: 1 });
    await api.redis.del(api.keys.bull(QUEUE, job.id));
    const deadline = Date.now() + 10_000;
    while ((await api.send(`/v1/jobs/${job.id}`)).status === 200) assert.ok(Date.now() < deadline);
    assert.equal((await failure(`/v1/jobs/${job.id}`)).code, 'not_found');
  });
});

describe('GET /v1/jobs', () => {
  const tag = newJobId(Date.now());
  const ids: string[] = [];
  before(async () => {
    for (let i = 0; i < 7; i++) {
      const model = i === 3 ? 'tiny-embedder' : 'tiny-classifier';
      const metadata = { tag, 'a[b]': String(i % 2) };
      const job = await api.submit({ model, input: 'good', metadata });
      ids.unshift(job.id);
      if (i < 2) await api.finish(job);
    }
  });
  const idsOf = async (query: string) => (await list(query)).data.map((job) => job.id);

  test('lists newest first, whatever state a job is in', async () => {
    assert.deepEqual(await idsOf(`metadata[tag]=${tag}`), ids);
  });

  test('filters by status, model, version and several metadata keys', async () => {
    const mine = `metadata[tag]=${tag}`;
    assert.deepEqual(await idsOf(`${mine}&status=succeeded`), ids.slice(-2));
    assert.deepEqual(await idsOf(`${mine}&model=tiny-embedder`), [ids[3]]);
    assert.deepEqual(await idsOf(`${mine}&model=tiny-embedder@1`), [ids[3]]);
    assert.deepEqual(await idsOf(`${mine}&model=tiny-embedder@2`), []);
    assert.deepEqual(await idsOf(`${mine}&model=tiny`), []);
  });

  test('pages by the last id until nothing is left', async () => {
    const seen: string[] = [];
    let after = '';
    let pages = 0;
    for (let more = true; more; pages++) {
      const page = await list(`metadata[tag]=${tag}&limit=2${after}`);
      assert.ok(page.data.length <= 2);
      assert.equal(page.first_id, page.data[0]?.id ?? null);
      seen.push(...page.data.map((job) => job.id));
      after = `&after=${page.last_id}`;
      more = page.has_more;
    }
    assert.deepEqual(seen, ids);
    assert.ok(pages >= 4);
  });

  test('has no jobs of a batch yet', async () => {
    const page = await list('batch=batch_1');
    assert.deepEqual(page.data, []);
    assert.equal(page.has_more, false);
  });

  const refused = {
    'limit=0': 'limit',
    'limit=101': 'limit',
    'limit=1e1': 'limit',
    'limit=': 'limit',
    'status=done': 'status',
    'after=meta': 'after',
    'after=%2B': 'after',
    'limit=1&limit=2': 'limit',
    'metadata=x': 'metadata',
    'metadata[]=x': 'metadata.',
    'order=asc': 'order',
    '__proto__=1': '__proto__',
  };
  for (const [query, param] of Object.entries(refused)) {
    test(`refuses ${query} and names ${param}`, async () => {
      const answer = await failure(`/v1/jobs?${query}`);
      assert.deepEqual([answer.status, answer.code], [400, 'invalid_request']);
      assert.equal(answer.param, param);
    });
  }
});

describe('cancel, retry and delete', () => {
  test('cancels a queued job at once and takes it out of the queue', async () => {
    const job = await api.submit({ input: 'good' });
    const { status, body } = await api.send(`/v1/jobs/${job.id}/cancel`, { method: 'POST' });
    assert.equal(status, 200);
    assert.equal(JobSchema.parse(body).status, 'canceled');
    assert.equal((await api.get(job.id)).error?.code, 'canceled');
    assert.equal(await api.redis.exists(api.keys.bull(QUEUE, job.id)), 0);
    assert.equal(await api.finish(job), false);
  });

  test('refuses to cancel a finished job', async () => {
    const job = await api.submit({ input: 'good' });
    await api.finish(job);
    const answer = await failure(`/v1/jobs/${job.id}/cancel`, { method: 'POST' });
    assert.deepEqual([answer.status, answer.code], [409, 'job_already_finished']);
    assert.equal((await api.get(job.id)).status, 'succeeded');
  });

  test('retries a failed job as a new one with the same input', async () => {
    const request = { input: ['good', 'bad'], priority: 'high', metadata: { order: '1' } };
    const job = await api.submit(request);
    await api.finish(job, { status: 'failed' });
    const answer = await api.send(`/v1/jobs/${job.id}/retry`, { method: 'POST' });
    const again = JobSchema.parse(answer.body);
    assert.equal(answer.status, 202);
    assert.equal(answer.headers.get('location'), `/v1/jobs/${again.id}`);
    assert.equal(again.retry_of, job.id);
    assert.notEqual(again.id, job.id);
    assert.equal(again.priority, 'high');
    assert.deepEqual(again.metadata, { order: '1' });
    const data = await api.redis.hget(api.keys.bull(QUEUE, again.id), 'data');
    assert.deepEqual(
      z.object({ rows: z.array(z.object({ text: z.string() })) }).parse(JSON.parse(data ?? ''))
        .rows,
      [{ text: 'good' }, { text: 'bad' }],
    );
  });

  test('refuses to retry a job that succeeded or is live', async () => {
    const job = await api.submit({ input: 'good' });
    const live = await failure(`/v1/jobs/${job.id}/retry`, { method: 'POST' });
    assert.deepEqual([live.status, live.code], [409, 'job_not_finished']);
    await api.finish(job);
    const done = await failure(`/v1/jobs/${job.id}/retry`, { method: 'POST' });
    assert.deepEqual([done.status, done.code], [400, 'invalid_request']);
  });

  test('deletes a finished job with its result, and refuses a live one', async () => {
    const job = await api.submit({ input: 'good' });
    const live = await failure(`/v1/jobs/${job.id}`, { method: 'DELETE' });
    assert.deepEqual([live.status, live.code], [409, 'job_not_finished']);
    await api.finish(job);
    await api.redis.del(api.keys.bull(QUEUE, job.id));
    const deleted = await api.send(`/v1/jobs/${job.id}`, { method: 'DELETE' });
    assert.deepEqual([deleted.status, deleted.body], [204, '']);
    assert.equal((await failure(`/v1/jobs/${job.id}`)).code, 'not_found');
    assert.equal((await failure(`/v1/jobs/${job.id}`, { method: 'DELETE' })).status, 404);
  });
});

describe('an id that is not the caller’s', () => {
  const routes: [string, string][] = [
    ['GET', ''],
    ['GET', '?wait=1'],
    ['GET', '/events'],
    ['DELETE', ''],
    ['POST', '/cancel'],
    ['POST', '/retry'],
  ];
  const hostile = [
    'meta',
    'completed',
    'stalled-check',
    'a:b:c',
    '0:1',
    '%00',
    '%0d%0aX:1',
    '__proto__',
  ];

  for (const [method, suffix] of routes) {
    test(`${method} /v1/jobs/{id}${suffix} answers for every such id alike`, async () => {
      const theirs = await jobOfAnotherTenant();
      const unknown = newJobId(Date.now());
      const answers = await Promise.all(
        [unknown, theirs, ...hostile, 'x'.repeat(10_000)].map(async (id) => {
          const { status, headers, body } = await api.send(`/v1/jobs/${id}${suffix}`, { method });
          const names = [...headers.keys()].sort();
          return { status, names, body };
        }),
      );
      assert.equal(answers[0]?.status, 404);
      for (const answer of answers) assert.deepEqual(answer, answers[0]);
      assert.ok(await api.store.read(theirs));
    });
  }
});

async function jobOfAnotherTenant(): Promise<string> {
  const job = await api.submit({ input: 'good' });
  await api.finish(job, { status: 'failed' });
  const record = await api.store.read(job.id);
  assert.ok(record);
  const { job: failed, retry } = record;
  const theirs = encodeRecord({ tenant: 'other', job: failed, retry });
  await api.redis.set(api.keys.job(job.id), theirs, 'KEEPTTL');
  return job.id;
}

describe('a backlog that is too long', () => {
  test('is 429 with Retry-After for this model only, and nothing is enqueued', async () => {
    const small = await startTestApi(redis.url, { HEADRACE_MAX_BACKLOG_ROWS: '3' });
    try {
      await small.submit({ input: ['a', 'b'] });
      await small.api.ticks.backlogs();
      await small.submit({ input: 'c' });
      const { status, headers, body } = await small.send('/v1/jobs', { body: { input: 'd' } });
      assert.equal(status, 429);
      assert.equal(Failure.parse(body).error.code, 'overloaded');
      assert.match(headers.get('retry-after') ?? '', /^[1-9]\d*$/);
      assert.equal(await small.held(), 2);
      await small.submit({ model: 'tiny-embedder', input: 'd' });
    } finally {
      await small.stop();
    }
  });
});

describe('the list of a tenant', () => {
  test('loses ids whose job is gone, and no other', async () => {
    const own = await startTestApi(redis.url, { HEADRACE_RESULT_TTL_S: '1' });
    try {
      const old = await own.submit({ input: 'a' });
      const live = await own.submit({ input: 'b' });
      await own.redis.del(own.keys.bull(QUEUE, old.id));
      const until = Date.now() + 1_100;
      while (Date.now() < until) await own.get(live.id, '?wait=1');
      assert.equal(await own.api.ticks.indexTrim(), 1);
      assert.deepEqual(await own.store.listIds('default', null, 10), [live.id]);
    } finally {
      await own.stop();
    }
  });
});
