import { createClient } from '@headrace/client';
import { createLogger } from '@headrace/shared/logger.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { type BulkSystem, startBulkSystem } from '../../helpers/bulk-system.ts';
import { readApiDocument } from '../harness/api-document.ts';
import { endOfBatch } from '../harness/batch-end.ts';
import {
  type HostileRequest,
  hostileRequests,
  type KnownBodies,
} from '../harness/hostile-requests.ts';
import { inLanes } from '../harness/load.ts';
import { untilReady } from '../harness/ready.ts';
import { type ChaosRow, judge } from '../harness/row.ts';

const VALUES = [
  ...['meta', 'completed', 'stalled-check', 'wait', 'prioritized', 'events', 'id', '0', '-1'],
  ...['a:b:c', ':', '*', '{headrace}', '../../etc/passwd', 'job_', '\u0000', '\ud800', '%s%n'],
  ...['a\r\nx-forged: 1\r\n\r\n', '\u2028', '__proto__', 'constructor', 'toString', ' '],
  'x'.repeat(100_000),
];
const ANSWER_MS = 30_000;
const MAX_HEAD_CHARACTERS = 16_000;

/** Types of what BullMQ keeps of a queue, besides jobs. */
const TYPES: Record<string, string> = {
  ...{ wait: 'list', active: 'list', paused: 'list', meta: 'hash', events: 'stream', id: 'string' },
  ...{ prioritized: 'zset', delayed: 'zset', completed: 'zset', failed: 'zset', marker: 'zset' },
  ...{ stalled: 'set', 'stalled-check': 'string', pc: 'string' },
};
const ID = '[0-9a-hjkmnp-tv-z]{26}';
const TENANT = '[a-z0-9][a-z0-9_-]{0,62}';
const MODEL = '[a-z0-9-]+@1';
/** Every other key that this system may have. */
const OWN_KEYS = new RegExp(
  `^(${[
    ...[`job:job_${ID}`, `file:file-${ID}`, `batch(-chunks)?:batch_${ID}`, `api-key:key_${ID}`],
    ...[`(jobs|files|batches):${TENANT}`, `order:infer\\.${MODEL}`, '(live|ended)-batches'],
    ...['file-expiry', 'api-keys', 'keys-demanded', 'tenant-names', 'tenants', 'workers'],
    ...['expiry-turn', `infer\\.${MODEL}:job_${ID}(:lock)?`],
    ...[`bulk\\.${MODEL}:batch_${ID}-\\d+(:lock)?`, `(plan|assemble):batch_${ID}(:lock)?`],
  ].join('|')})$`,
);
const QUEUE_KEY = new RegExp(`^(?:(?:infer|bulk)\\.${MODEL}|plan|assemble):(.+)$`);

export const hostileNames: ChaosRow = {
  row: 14,
  title: 'hostile ids and names in every field that a client sends',
  goal: 'no effect on the queue',
  plainBullmq: 'queue destroyed',
  headline: ['requests', 'answers_5xx', 'accepted_jobs', 'accepted_jobs_lost', 'strange_keys'],
  async run({ say }) {
    const system = await startBulkSystem({ HEADRACE_AUTH: 'off' });
    const log = createLogger({ service: 'chaos', level: 'silent' });
    const url = system.env.REDIS_URL ?? '';
    const redis = connectRedis({ url, role: 'worker', name: 'hostile', log });
    try {
      await untilReady(system.apiUrl);
      const seen = await sendAll(system, say);
      await sendLines(system);
      const lost = await unfinished(system, seen.jobs);
      const { strange, mistyped } = await examine(redis, system.env.HEADRACE_PREFIX ?? '');
      for (const key of [...strange, ...mistyped].slice(0, 5)) say(`strange: ${key.slice(0, 100)}`);
      const works = await stillWorks(system);
      return {
        figures: {
          values: VALUES.length,
          requests: seen.requests,
          answers_5xx: seen.failed,
          answers_with_a_forged_header: seen.forged,
          requests_without_answer: seen.unanswered,
          accepted_jobs: seen.jobs.length,
          accepted_jobs_lost: lost,
          strange_keys: strange.length,
          keys_of_a_wrong_type: mistyped.length,
        },
        ...judge({
          'no answer is 5xx': seen.failed === 0,
          'every request is answered': seen.unanswered === 0,
          'no header is forged': seen.forged === 0,
          'what is accepted is run': seen.jobs.length > 0 && lost === 0,
          'no key is named by a caller': strange.length === 0,
          'every key is what it should be': mistyped.length === 0,
          'jobs and batches are run as before': works,
        }),
      };
    } finally {
      redis.disconnect();
      await system.stop();
    }
  },
};

interface Seen {
  requests: number;
  failed: number;
  forged: number;
  unanswered: number;
  /** Ids of jobs that were accepted. */
  jobs: string[];
}

async function sendAll({ apiUrl }: BulkSystem, say: (text: string) => void): Promise<Seen> {
  const document = readApiDocument(await (await fetch(`${apiUrl}/openapi.json`)).json());
  const seen: Seen = { requests: 0, failed: 0, forged: 0, unanswered: 0, jobs: [] };
  for (const value of VALUES) {
    const requests = [...hostileRequests(document, value, BODIES)];
    await inLanes(requests, (request) => send(apiUrl, request, seen));
    say(`${JSON.stringify(value.slice(0, 20))}: ${requests.length} requests`);
  }
  return seen;
}

const BODIES: KnownBodies = {
  'POST /v1/jobs': [
    { model: 'tiny-classifier', input: 'the cat', metadata: { order: '1' }, priority: 'low' },
    { input: [{ text: 'a' }, { ids: [1] }], parameters: { top_k: 1 }, ttl_s: 60, timeout_s: 5 },
  ],
  'POST /v1/embeddings': [
    { model: 'tiny-embedder', input: 'the cat', encoding_format: 'float', user: 'a' },
  ],
  'POST /v1/batches': [
    { input_file_id: 'none', endpoint: '/v1/jobs', completion_window: '1h', metadata: { a: 'b' } },
    {
      ...{ input_url: 's3://a/b', model: 'tiny-classifier', parameters: { top_k: 1 } },
      documents: { format: 'csv', text: 'a', text_pair: 'b', id: 'c', compression: 'auto' },
      ...{ output: { format: 'csv', join: true }, priority: 'low', dry_run: false },
      output_expires_after: { anchor: 'created_at', seconds: 3_600 },
    },
  ],
};

const Accepted = z.looseObject({ object: z.literal('job'), id: z.string() });

async function send(url: string, request: HostileRequest, seen: Seen): Promise<void> {
  const { path, ...init } = request;
  seen.requests += 1;
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(`${url}${path}`, { ...init, signal });
    const text = await response.text();
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
async function sendLines({ apiUrl }: BulkSystem): Promise<void> {
  const client = createClient({ baseUrl: apiUrl });
  const { files, batches } = client;
  const values = VALUES.filter((value) => value.length < 1_000);
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
async function unfinished({ apiUrl }: BulkSystem, ids: string[]): Promise<number> {
  const { jobs } = createClient({ baseUrl: apiUrl });
  const ends = await inLanes(ids, (id) => jobs.wait(id));
  return ends.filter(({ status }) => status !== 'succeeded' && status !== 'failed').length;
}

async function examine(redis: Redis, prefix: string) {
  const strange: string[] = [];
  const mistyped: string[] = [];
  for (const key of await redis.keys('*')) {
    const name = key.startsWith(`${prefix}:`) ? key.slice(prefix.length + 1) : key;
    if (OWN_KEYS.test(name)) continue;
    const suffix = QUEUE_KEY.exec(name)?.[1] ?? '';
    const type = Object.hasOwn(TYPES, suffix) ? TYPES[suffix] : undefined;
    if (type === undefined) strange.push(key);
    else if ((await redis.type(key)) !== type) mistyped.push(key);
  }
  return { strange, mistyped };
}

async function stillWorks({ apiUrl }: BulkSystem): Promise<boolean> {
  const client = createClient({ baseUrl: apiUrl });
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
