import { randomUUID } from 'node:crypto';
import type { WebhookDelivery } from '@headrace/client';
import { deliveryIds, endpointId, newBatchId, newFileId, newJobId } from '@headrace/shared/ids.ts';
import { answer, type Receiver } from '../../helpers/receiver.ts';
import { endOfBatch } from './batch-end.ts';
import { allDeliveries, deliveriesOnce } from './deliveries.ts';
import type { Tenant } from './tenants.ts';

/** What a tenant has, by the beginning of the paths that name it. */
export interface Resource {
  path: string;
  ids: string[];
  /** Whether one can be asked for. */
  readable: boolean;
  /** A well-formed id that nobody has. */
  unknown(): string;
}

/** No worker of the system serves it. */
const WAITING = { model: 'tiny-pairs', input: { text: 'a', text_pair: 'b' } };

/** Jobs, files and batches in several states. */
export async function createResources({ client }: Tenant): Promise<Resource[]> {
  const { jobs, files, batches } = client;
  const queued = await jobs.submit(WAITING);
  const canceled = await jobs.submit(WAITING);
  await jobs.cancel(canceled.id);
  const succeeded = await jobs.submit({ input: 'the cat' });
  await jobs.wait(succeeded.id);
  const content = new Blob(['the cat\n', '\n', 'the dog\n']);
  const file = await files.upload({ content, filename: 'rows', purpose: 'user_data' });
  const documents = { format: 'text' } as const;
  const request = { model: 'tiny-classifier', input_file_id: file.id, documents };
  const completed = await batches.create(request);
  const { output_file_id: output } = await endOfBatch(client, completed.id);
  const pairs = { ...documents, format: 'jsonl', text_pair: 'text_pair' } as const;
  const lines = new Blob([JSON.stringify({ text: 'a', text_pair: 'b' })]);
  const other = await files.upload({ content: lines, filename: 'pairs', purpose: 'user_data' });
  const live = await batches.create({
    ...{ model: 'tiny-pairs', input_file_id: other.id, documents: pairs },
  });
  // It stays so: no worker takes its chunk.
  for await (const { status } of batches.watch(live.id)) if (status === 'in_progress') break;
  const fileIds = [file.id, other.id, ...(output === null ? [] : [output])];
  const now = Date.now();
  return [
    {
      ...{ path: '/v1/jobs/', readable: true, unknown: () => newJobId(now) },
      ids: [queued.id, canceled.id, succeeded.id],
    },
    { path: '/v1/files/', ids: fileIds, readable: true, unknown: () => newFileId(now) },
    {
      ...{ path: '/v1/batches/', readable: true, unknown: () => newBatchId(now) },
      ids: [completed.id, live.id],
    },
  ];
}

/** How receivers answer: well, not now, never again, and badly for as long as it is asked. */
const ANSWERS = {
  '/good': answer(204),
  '/waits': answer(429, { headers: { 'retry-after': '3600' } }),
  '/gone': answer(410),
  '/fails': answer(500),
};
export const GONE_PATH = '/gone';

interface CallbackOptions {
  apiUrl: string;
  owner: Tenant;
  receiver: Receiver;
}

/**
 * Deliveries of every status, and endpoints that are disabled or fail; of a dispatcher that makes a
 * second attempt after a second, and then disables what has failed for a second.
 */
export async function createCallbacks(options: CallbackOptions): Promise<Resource[]> {
  const { apiUrl, owner, receiver } = options;
  const { jobs, webhooks } = owner.client;
  await webhooks.rotateSecret();
  for (const [path, behaviour] of Object.entries(ANSWERS)) {
    receiver.on(path, behaviour);
    const url = receiver.url(path);
    await webhooks.test(url);
    const webhook = { url, events: ['job.succeeded' as const, 'job.canceled' as const] };
    await jobs.submit({ input: 'the cat', webhook });
    const { id } = await jobs.submit({ ...WAITING, webhook });
    await jobs.cancel(id);
  }
  const removed = await jobs.submit({ input: 'a', webhook: { url: receiver.url('/waits') } });
  await jobs.wait(removed.id);
  await deliveriesOnce(owner.client, isAtRest);
  await fetch(`${apiUrl}/v1/jobs/${removed.id}`, { method: 'DELETE', headers: owner.headers });
  const all = await allDeliveries(owner.client);
  const failing = all.filter(({ status }) => status === 'pending').map(({ endpoint }) => endpoint);
  const disabled = (await webhooks.endpoints()).map(({ id }) => id);
  return [
    {
      ...{ path: '/v1/webhooks/deliveries/', ids: all.map(({ id }) => id), readable: true },
      unknown: () => deliveryIds(newJobId(Date.now())).delivery,
    },
    {
      ...{ path: '/v1/webhooks/endpoints/', readable: false },
      ids: [...new Set([...disabled, ...failing])],
      unknown: () => endpointId('nobody', randomUUID()),
    },
  ];
}

/** Nothing happens to it for the next hour. */
function isAtRest({ url, status, attempt_count }: WebhookDelivery): boolean {
  return url.endsWith('/waits') && status === 'pending'
    ? attempt_count === 1
    : status !== 'pending';
}
