import { type Client, createClient } from '@headrace/client';
import { createLogger } from '@headrace/shared/logger.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { type BulkSystem, startBulkSystem } from '../../helpers/bulk-system.ts';
import { type Receiver, startReceiver } from '../../helpers/receiver.ts';
import { answerText } from '../harness/answer-text.ts';
import { readApiDocument } from '../harness/api-document.ts';
import { endOfBatch } from '../harness/batch-end.ts';
import { deliveriesOnce } from '../harness/deliveries.ts';
import { type HostileRequest, hostileRequests } from '../harness/hostile-requests.ts';
import { useHostileTenants } from '../harness/hostile-tenants.ts';
import { HOSTILE_VALUES, hostileReceivers, rightBodies } from '../harness/hostile-values.ts';
import { strangeKeys } from '../harness/known-keys.ts';
import { inLanes } from '../harness/load.ts';
import { untilReady } from '../harness/ready.ts';
import { type ChaosRow, judge } from '../harness/row.ts';
import { ADMIN_KEY } from '../harness/tenants.ts';

const ANSWER_MS = 30_000;
const MAX_HEAD_CHARACTERS = 16_000;
const PATH = '/hostile';

export const hostileNames: ChaosRow = {
  row: 14,
  title: 'hostile ids and names in every field that a client sends',
  goal: 'no effect on the queue',
  plainBullmq: 'queue destroyed',
  headline: [
    'requests',
    'answers_5xx',
    'accepted_jobs',
    'accepted_jobs_lost',
    'callbacks_not_delivered',
    'strange_keys',
  ],
  async run({ say }) {
    await using undo = new AsyncDisposableStack();
    const receiver = await startReceiver();
    undo.defer(() => receiver.stop());
    const system = await startBulkSystem({
      HEADRACE_ADMIN_KEY: ADMIN_KEY,
      HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
      HEADRACE_WEBHOOK_PORTS: `80,${receiver.port}`,
      HEADRACE_WEBHOOK_SCHEDULE_S: '0,1',
      HEADRACE_WEBHOOK_TIMEOUT_S: '2',
    });
    undo.defer(() => system.stop());
    const redis = connectTo(system);
    undo.defer(() => redis.disconnect());
    return await look({ system, receiver, redis, say });
  },
};

interface Look {
  system: BulkSystem;
  receiver: Receiver;
  redis: Redis;
  say(text: string): void;
}

async function look({ system, receiver, redis, say }: Look) {
  const client = createClient({ baseUrl: system.apiUrl, apiKey: ADMIN_KEY });
  const url = receiver.url(PATH);
  await untilReady(system.apiUrl);
  const seen = await sendAll(system, url, say);
  await sendLines(client);
  const lost = await unfinished(client, seen.jobs);
  const { tenants, broken } = await useHostileTenants(system.apiUrl, HOSTILE_VALUES, url);
  const told = await deliveriesOnce(client, ({ status }) => status !== 'pending');
  const ours = told.filter((delivery) => delivery.url.startsWith(receiver.url('/')));
  const untold = ours.filter(({ status }) => status !== 'delivered').length;
  const forged = receiver.all().filter(({ headers }) => 'x-forged' in headers).length;
  const { strange, mistyped } = await strangeKeys(redis, system.env.HEADRACE_PREFIX ?? '');
  for (const key of [...strange, ...mistyped].slice(0, 5)) say(`strange: ${key.slice(0, 100)}`);
  const works = await stillWorks(client);
  return {
    figures: {
      values: HOSTILE_VALUES.length,
      requests: seen.requests,
      answers_5xx: seen.failed,
      answers_with_a_forged_header: seen.forged,
      requests_without_answer: seen.unanswered,
      accepted_jobs: seen.jobs.length,
      accepted_jobs_lost: lost,
      tenants,
      tenants_not_served: broken,
      callbacks: ours.length,
      callbacks_not_delivered: untold,
      callbacks_with_a_forged_header: forged,
      strange_keys: strange.length,
      keys_of_a_wrong_type: mistyped.length,
    },
    ...judge({
      'no answer is 5xx': seen.failed === 0,
      'every request is answered': seen.unanswered === 0,
      'no header is forged': seen.forged === 0 && forged === 0,
      'what is accepted is run': seen.jobs.length > 0 && lost === 0,
      'a tenant of any name is served': tenants > 0 && broken === 0,
      'what is accepted is told': ours.length > 0 && untold === 0,
      'no key is named by a caller': strange.length === 0,
      'every key is what it should be': mistyped.length === 0,
      'jobs and batches are run as before': works,
    }),
  };
}

interface Seen {
  requests: number;
  failed: number;
  forged: number;
  unanswered: number;
  /** Ids of jobs that were accepted. */
  jobs: string[];
}

async function sendAll({ apiUrl }: BulkSystem, url: string, say: Look['say']): Promise<Seen> {
  const document = readApiDocument(await (await fetch(`${apiUrl}/openapi.json`)).json());
  const bodies = rightBodies(url);
  const seen: Seen = { requests: 0, failed: 0, forged: 0, unanswered: 0, jobs: [] };
  for (const value of HOSTILE_VALUES) {
    const inFields = hostileRequests(document, value, bodies);
    const requests = [...inFields, ...hostileReceivers(url, value)];
    await inLanes(requests, (request) => send(apiUrl, request, seen));
    say(`${JSON.stringify(value.slice(0, 20))}: ${requests.length} requests`);
  }
  return seen;
}

const Accepted = z.looseObject({ object: z.literal('job'), id: z.string() });

const AUTHORIZATION = { authorization: `Bearer ${ADMIN_KEY}` };

async function send(url: string, request: HostileRequest, seen: Seen): Promise<void> {
  const { path, ...init } = request;
  const headers = { ...AUTHORIZATION, ...init.headers };
  seen.requests += 1;
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(`${url}${path}`, { ...init, headers, signal });
    const text = await answerText(response);
    if (response.status >= 500) seen.failed += 1;
    if (response.headers.has('x-forged')) seen.forged += 1;
    if (response.status !== 202) return;
    const job = Accepted.safeParse(JSON.parse(text));
    if (job.success) seen.jobs.push(job.data.id);
  } catch {
    // Beyond what a head may hold, the connection is closed while it is still being sent.
    if (path.length < MAX_HEAD_CHARACTERS) seen.unanswered += 1;
  }
}

/** The same names in the lines of a batch, and as columns of a table. */
async function sendLines(client: Client): Promise<void> {
  const { files, batches } = client;
  const values = HOSTILE_VALUES.filter((value) => value.length < 1_000);
  const lines = values.flatMap((value) => [
    { custom_id: value, method: 'POST', url: '/v1/jobs', body: { input: value } },
    { custom_id: `1${value}`, method: value, url: '/v1/jobs', body: { input: 'a' } },
    { custom_id: `2${value}`, method: 'POST', url: value, body: { input: 'a' } },
    { custom_id: `3${value}`, method: 'POST', url: '/v1/jobs', body: { model: value, input: 'a' } },
    own(value, { custom_id: `4${value}`, method: 'POST', url: '/v1/jobs' }),
  ]);
  const upload = async (content: string) =>
    (await files.upload({ content: new Blob([content]), filename: 'rows', purpose: 'batch' })).id;
  const requests = await upload(lines.map((line) => JSON.stringify(line)).join('\n'));
  const table = await upload(values.map((value) => JSON.stringify(own(value, {}))).join('\n'));
  const ids = [(await batches.create({ input_file_id: requests, endpoint: '/v1/jobs' })).id];
  for (const text of values) {
    const documents = { format: 'jsonl' as const, text };
    const output = { format: 'csv' as const, join: true };
    const request = { model: 'tiny-classifier', input_file_id: table, documents, output };
    ids.push((await batches.create(request)).id);
  }
  for (const id of ids) await endOfBatch(client, id);
}

function own(name: string, others: object): object {
  return Object.fromEntries([...Object.entries(others), [name, 'the cat']]);
}

/** @returns how many of the accepted jobs have no result */
async function unfinished({ jobs }: Client, ids: string[]): Promise<number> {
  const ends = await inLanes(ids, (id) => jobs.wait(id));
  return ends.filter(({ status }) => status !== 'succeeded' && status !== 'failed').length;
}

async function stillWorks(client: Client): Promise<boolean> {
  const { jobs, files, batches } = client;
  const { id } = await jobs.submit({ input: 'the cat' });
  const job = await jobs.wait(id);
  const content = new Blob(['the cat\nthe dog\n']);
  const file = await files.upload({ content, filename: 'rows', purpose: 'user_data' });
  const documents = { format: 'text' as const };
  const model = 'tiny-classifier';
  const batch = await batches.create({ model, input_file_id: file.id, documents });
  const { status } = await endOfBatch(client, batch.id);
  return job.status === 'succeeded' && status === 'completed';
}

function connectTo({ env }: BulkSystem): Redis {
  const log = createLogger({ service: 'chaos', level: 'silent' });
  return connectRedis({ url: env.REDIS_URL ?? '', role: 'worker', name: 'hostile', log });
}
