/**
 * What the client does, the same in Node and in a page: it takes a running Headrace with workers for
 * `tiny-classifier` and `tiny-embedder`, a dispatcher, and a key with all scopes. Nothing of Node is
 * imported here.
 */
import {
  type Client,
  ConnectionError,
  createClient,
  HeadraceError,
  isFinished,
  type OverviewChange,
  verifyWebhook,
  WebhookVerificationError,
} from '@headrace/client';

export interface Given {
  baseUrl: string;
  apiKey: string;
}

interface Case {
  name: string;
  run(client: Client, given: Given): Promise<void>;
}

const CLASSIFIER = 'tiny-classifier';
const EMBEDDER = 'tiny-embedder';

export const CLIENT_CASES: readonly Case[] = [
  {
    name: 'submits a job and waits for what it comes to',
    async run(client) {
      const job = await client.jobs.submit({ model: CLASSIFIER, input: ['great', 'bad'] });
      const done = await client.jobs.wait(job.id);
      same([done.id, done.status, done.output?.length], [job.id, 'succeeded', 2]);
      same(await client.jobs.get(job.id), done);
      const last = await lastOf(client.jobs.watch(job.id));
      same(last, done);
    },
  },
  {
    name: 'lists jobs by the page and all of them, filtered, and removes them',
    async run(client) {
      const metadata = { run: unique() };
      const submit = (input: string) => client.jobs.submit({ model: CLASSIFIER, input, metadata });
      const ids = [];
      for (const input of ['a', 'b', 'c']) ids.unshift((await submit(input)).id);
      const page = await client.jobs.list({ metadata, limit: 2 });
      same([page.data.map(({ id }) => id), page.has_more], [ids.slice(0, 2), true]);
      const found = [];
      for await (const { id } of client.jobs.list({ metadata, limit: 2 })) found.push(id);
      same(found, ids);
      for (const id of ids) {
        await client.jobs.wait(id);
        await client.jobs.delete(id);
      }
      same((await client.jobs.list({ metadata })).data, []);
    },
  },
  {
    name: 'gives errors by their codes',
    async run(client, given) {
      await fails(client.jobs.get('job_x'), 'not_found', 404);
      await fails(client.jobs.submit({ model: 'nope', input: 'a' }), 'model_not_found', 404);
      const wrong = await failure(client.jobs.list({ limit: 0 }));
      same(
        [codeOf(wrong), wrong instanceof HeadraceError && wrong.param],
        ['invalid_request', 'limit'],
      );
      const job = await client.jobs.submit({ model: CLASSIFIER, input: 'a' });
      await client.jobs.wait(job.id);
      await fails(client.jobs.cancel(job.id), 'job_already_finished', 409);
      await fails(client.jobs.retry(job.id), 'invalid_request', 400);
      const stranger = createClient({ ...given, apiKey: 'hr_none' });
      await fails(stranger.jobs.list(), 'unauthorized', 401);
      const nobody = createClient({ baseUrl: 'http://127.0.0.1:1' });
      ok((await failure(nobody.models.list({ maxRetries: 0 }))) instanceof ConnectionError);
    },
  },
  {
    name: 'stops with its signal, whatever it is doing',
    async run(client) {
      const job = await client.jobs.submit({ model: 'tiny-hidden', input: 'nobody serves this' });
      const reason = new Error('enough');
      const calls = [
        (signal: AbortSignal) => client.jobs.wait(job.id, { signal }),
        (signal: AbortSignal) => lastOf(client.jobs.watch(job.id, { signal })),
        (signal: AbortSignal) => lastOf(client.overview.follow({ signal })),
        (signal: AbortSignal) => lastOf(client.overview.watch({ signal })),
      ];
      for (const call of calls) {
        const controller = new AbortController();
        const failed = failure(call(controller.signal));
        controller.abort(reason);
        same(await failed, reason);
      }
      const gone = AbortSignal.abort(reason);
      same(await failure(client.models.list({ signal: gone })), reason);
      const content = new Blob(['x']);
      const upload = { content, filename: 'a', purpose: 'batch' as const, onProgress: () => {} };
      same(await failure(client.files.upload({ ...upload, signal: gone })), reason);
      same((await client.jobs.cancel(job.id)).status, 'canceled');
      const again = await client.jobs.retry(job.id);
      same((await client.jobs.cancel(again.id)).retry_of, job.id);
    },
  },
  {
    name: 'embeds texts as vectors of numbers',
    async run(client) {
      const { vectors, truncated, tokens } = await client.embed({
        model: EMBEDDER,
        input: ['a', 'b'],
      });
      same([vectors.length, truncated], [2, [false, false]]);
      const norm = Math.hypot(...(vectors[0] ?? []));
      ok(Math.abs(norm - 1) < 1e-3 && tokens > 0, `norm ${norm}`);
    },
  },
  {
    name: 'uploads a file, says how far it is, and reads it whole and in part',
    async run(client) {
      const content = new Blob(['0123456789'.repeat(100_000)]);
      const seen: number[] = [];
      const file = await client.files.upload({
        ...{ content, filename: 'digits ü.txt', purpose: 'user_data' },
        onProgress: (bytes) => seen.push(bytes),
      });
      same([file.bytes, file.filename], [content.size, 'digits ü.txt']);
      same([seen.at(-1), seen.toSorted((a, b) => a - b)], [content.size, seen]);
      const whole = await client.files.content(file.id);
      same([whole.bytes, (await textOf(whole.stream)).length], [content.size, content.size]);
      const part = await client.files.content(file.id, { start: 12, end: 15 });
      same(await textOf(part.stream), '234');
      const listed = await client.files.list({ purpose: 'user_data', limit: 1 });
      same(listed.data[0]?.id, file.id);
      await client.files.delete(file.id);
      await fails(client.files.get(file.id), 'not_found', 404);
    },
  },
  {
    name: 'estimates a batch, scores it, and reads its rows from wherever a reader stopped',
    async run(client) {
      const id = await uploadTexts(client, 30);
      const documents = { format: 'text' as const };
      const request = { model: CLASSIFIER, input_file_id: id, documents };
      const estimate = await client.batches.create({ ...request, dry_run: true });
      same((await lastOf(client.batches.watch(estimate.id)))?.estimate?.rows, 30);
      const batch = await client.batches.create(request);
      const done = await lastOf(client.batches.watch(batch.id));
      ok(done !== undefined && isFinished(done));
      same([done?.status, done?.request_counts.completed], ['completed', 30]);
      const first = await client.batches.results(batch.id, { limit: 7 }).next();
      ok(!first.done);
      const rows = [...first.value.data];
      const rest = client.batches.results(batch.id, { after: first.value.next, follow: true });
      for await (const page of rest) rows.push(...page.data);
      same([rows.length, new Set(rows.map((row) => JSON.stringify(row))).size], [30, 30]);
      same((await client.batches.list({ limit: 1 })).data[0]?.id, batch.id);
      await fails(client.batches.pause(batch.id), 'batch_not_running', 409);
    },
  },
  {
    name: 'pauses, resumes and cancels a batch',
    async run(client) {
      const input_file_id = await uploadTexts(client, 20_000);
      const documents = { format: 'text' as const };
      const { id } = await client.batches.create({ model: CLASSIFIER, input_file_id, documents });
      same((await client.batches.pause(id)).paused, true);
      same((await client.batches.resume(id)).paused, false);
      await client.batches.cancel(id);
      same((await lastOf(client.batches.watch(id)))?.status, 'cancelled');
    },
  },
  {
    name: 'makes, lists and revokes keys, and tells about models',
    async run(client, given) {
      const name = `suite ${unique()}`;
      const { secret, ...made } = await client.keys.create({ name, scopes: ['jobs'] });
      const other = createClient({ ...given, apiKey: secret });
      const { sight } = await other.overview.get();
      same([sight, (await client.overview.get()).sight], ['models', 'all']);
      await fails(other.keys.list(), 'forbidden', 403);
      const found = [];
      for await (const key of client.keys.list({ limit: 1 })) found.push(key.name);
      ok(found.includes(name));
      const following = lastOf(other.overview.follow());
      ok((await client.keys.revoke(made.id)).revoked_at !== null);
      await fails(following, 'unauthorized');
      const models = await client.models.list();
      const model = await client.models.get(CLASSIFIER);
      same([models.some(({ id }) => id === CLASSIFIER), model.task], [true, 'text-classification']);
    },
  },
  {
    name: 'has the secrets of callbacks rotated, one tested, logged and sent again',
    async run(client) {
      const { webhooks } = client;
      const { secret, ...made } = await webhooks.rotateSecret({ overlapS: 60 });
      ok(secret.startsWith('whsec_'));
      ok((await webhooks.secrets()).some(({ id }) => id === made.id));
      const { id } = await webhooks.test('https://example.com/');
      same((await webhooks.delivery(id)).type, 'webhook.test');
      const { data } = await webhooks.deliveries({ limit: 1 });
      same(data[0]?.id, id);
      same((await webhooks.redeliver(id)).id, id);
      const { redelivered } = await webhooks.redeliverAll({
        status: ['pending', 'failed'],
        url: 'https://example.com/',
        limit: 1,
      });
      same(redelivered, 1);
      await fails(webhooks.test('http://10.0.0.1/'), 'invalid_request', 400);
      ok(Array.isArray(await webhooks.endpoints()));
    },
  },
  {
    name: 'verifies the signature of a callback',
    async run() {
      const headers = {
        'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
        'webhook-timestamp': '1614265330',
        'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
      };
      const options = {
        secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
        now: () => 1_614_265_330_000,
      };
      const event = await verifyWebhook('{"test": 2432232314}', headers, options);
      same(event, { test: 2_432_232_314 });
      const tampered = await failure(verifyWebhook('{"test": 2432232315}', headers, options));
      ok(tampered instanceof WebhookVerificationError);
    },
  },
  {
    name: 'follows the overview: the history, then what goes on',
    async run(client) {
      const controller = new AbortController();
      const seen: OverviewChange['event'][] = [];
      const { signal } = controller;
      for await (const change of client.overview.follow({ signal })) {
        seen.push(change.event);
        if (change.event === 'all') ok(Array.isArray(change.overview.history));
        if (change.event === 'now')
          ok(change.sample.models.some(({ model }) => model.startsWith(CLASSIFIER)));
        if (seen.length === 3) break;
      }
      same([seen[0], seen[1]], ['all', 'now']);
    },
  },
];

function ok(value: boolean, message = 'it is not so'): asserts value {
  if (!value) throw new Error(message);
}

/** Of values that JSON can write, and of errors as such. */
function same(actual: unknown, expected: unknown): void {
  if (actual === expected) return;
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  ok(a === b && !(expected instanceof Error), `${a ?? actual} is not ${b ?? expected}`);
}

async function failure(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

async function fails(call: Promise<unknown>, code: string, status?: number): Promise<void> {
  const error = await failure(call);
  ok(error instanceof HeadraceError, `${error}`);
  same(error.code, code);
  if (status !== undefined) same(error.status, status);
}

function codeOf(error: unknown): string | null {
  return error instanceof HeadraceError ? error.code : null;
}

async function lastOf<T>(all: AsyncIterable<T>): Promise<T | undefined> {
  let last: T | undefined;
  for await (const one of all) last = one;
  return last;
}

function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return new Response(stream).text();
}

async function uploadTexts(client: Client, rows: number): Promise<string> {
  const content = new Blob(Array.from({ length: rows }, (_, i) => `text ${i}\n`));
  return (await client.files.upload({ content, filename: 'texts', purpose: 'user_data' })).id;
}

function unique(): string {
  return Math.random().toString(36).slice(2);
}
