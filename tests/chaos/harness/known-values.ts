import { type Client, createClient, type WebhookDelivery } from '@headrace/client';
import { answer, type Receiver } from '../../helpers/receiver.ts';
import { endOfBatch } from './batch-end.ts';
import { deliveriesOnce } from './deliveries.ts';
import { rightBodies } from './hostile-values.ts';
import { inLanes } from './load.ts';
import type { Known } from './random-requests.ts';

/** So many that not all are deleted before another request asks for them. */
const JOBS = 100;
const FILES = 100;
/** Batches that run, until a request cancels them. */
const LIVE_BATCHES = 10;
/** Each is an endpoint that is disabled, until a request enables it. */
const GONE_RECEIVERS = 10;
/** No worker of the system serves it. */
const WAITING = 'tiny-nan';

/** What there is that requests can ask for: of everything some, in different states. */
export async function createKnown(baseUrl: string, receiver: Receiver): Promise<Known> {
  const client = createClient({ baseUrl });
  const gone = Array.from({ length: GONE_RECEIVERS }, (_, i) => `/gone/${i}`);
  for (const path of gone) receiver.on(path, answer(410));
  receiver.on('/fails', answer(500));
  const urls = ['/good', '/fails', ...gone].map(receiver.url);
  const webhook = { url: urls[0] ?? '' };
  const jobs = await createJobs(client, webhook);
  const files = await createFiles(client);
  const batches = await createBatches(client, webhook);
  const keys = [(await client.keys.create({ name: 'a', scopes: ['admin'] })).id];
  const tests = await inLanes(urls, (url) => client.webhooks.test(url));
  const isMade = ({ attempt_count }: WebhookDelivery) => attempt_count > 0;
  const deliveries = (await deliveriesOnce(client, isMade)).map(({ id }) => id);
  const values = {
    ...{ jobs, files, batches, keys },
    webhooks: [...deliveries.slice(0, GONE_RECEIVERS), ...tests.map(({ endpoint }) => endpoint)],
    models: ['tiny-classifier', 'tiny-embedder@1'],
    tenants: ['search'],
    model: ['tiny-classifier', 'tiny-embedder', 'tiny-pairs', 'tiny-nan@1'],
    input: ['the cat', 'a'],
    input_file_id: files,
    url: urls,
    job: jobs,
    batch: batches,
    after: [jobs, files, batches, keys, deliveries].flatMap((ids) => ids.slice(0, 5)),
    // Nobody waits for long here.
    wait: ['0', '1'],
    prefer: ['wait=1', 'respond-async'],
  };
  const bodies = { ...rightBodies(webhook.url), 'POST /v1/batches': batchesOf(files, webhook) };
  return { values, bodies };
}

function batchesOf(files: string[], webhook: Target): object[] {
  const documents = { format: 'jsonl', text: 'text' };
  return files.flatMap((input_file_id) => [
    { input_file_id, endpoint: '/v1/jobs', webhook },
    { input_file_id, model: 'tiny-classifier', documents, output: { format: 'csv', join: true } },
  ]);
}

interface Target {
  url: string;
}

/** A third each that succeed, wait, and are canceled. */
function createJobs({ jobs }: Client, webhook: Target): Promise<string[]> {
  const places = Array.from({ length: JOBS }, (_, i) => i);
  return inLanes(places, async (i) => {
    const request = i % 3 === 0 ? { input: 'a', webhook } : { input: 'a', model: WAITING };
    const { id } = await jobs.submit(request);
    if (i % 3 === 0) await jobs.wait(id);
    if (i % 3 === 1) await jobs.cancel(id);
    return id;
  });
}

function createFiles(client: Client): Promise<string[]> {
  const row = JSON.stringify({ text: 'a' });
  return inLanes(Array(FILES).fill(`${requestOf('tiny-classifier')}\n${row}\n`), (content) =>
    upload(client, content),
  );
}

/** One that has ended with a row that failed, and others that go on. */
async function createBatches(client: Client, webhook: Target): Promise<string[]> {
  const { batches } = client;
  const create = async (content: string) => {
    const input_file_id = await upload(client, content);
    return (await batches.create({ input_file_id, endpoint: '/v1/jobs', webhook })).id;
  };
  const ended = await create(`${requestOf('tiny-classifier')}\nno request\n`);
  await endOfBatch(client, ended);
  const live = await inLanes(Array(LIVE_BATCHES).fill(requestOf(WAITING)), create);
  return [ended, ...live];
}

async function upload({ files }: Client, text: string): Promise<string> {
  const content = new Blob([text]);
  return (await files.upload({ content, filename: 'rows', purpose: 'batch' })).id;
}

function requestOf(model: string): string {
  const body = { model, input: 'a' };
  return JSON.stringify({ custom_id: 'a', method: 'POST', url: '/v1/jobs', body });
}
