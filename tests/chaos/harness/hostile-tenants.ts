import { createClient } from '@headrace/client';
import { endOfBatch } from './batch-end.ts';
import { deliveriesOnce } from './deliveries.ts';
import { ADMIN_KEY } from './tenants.ts';

const TENANT_NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const SCOPES = ['jobs', 'batches', 'webhooks'] as const;
const RATE = { rows_per_s: 1_000, burst_rows: 1_000 };
const CALLBACKS = 3;

/**
 * Has a tenant of each name that may be one do all that tenants do.
 * @returns how many there are, and for how many not all of it went well
 */
export async function useHostileTenants(apiUrl: string, names: string[], url: string) {
  const tenants = names.filter((name) => TENANT_NAME.test(name));
  const went = await Promise.all(tenants.map((tenant) => useTenant(apiUrl, tenant, url)));
  return { tenants: tenants.length, broken: went.filter((well) => !well).length };
}

async function useTenant(baseUrl: string, tenant: string, url: string): Promise<boolean> {
  const admin = createClient({ baseUrl, apiKey: ADMIN_KEY });
  const request = { name: tenant, tenant, scopes: [...SCOPES], rate_limit: RATE };
  const { secret } = await admin.keys.create(request);
  const client = createClient({ baseUrl, apiKey: secret });
  const { jobs, files, batches, webhooks } = client;
  await webhooks.rotateSecret();
  const webhook = { url };
  const { id } = await jobs.submit({ input: 'the cat', webhook });
  const content = new Blob(['the cat\nthe dog\n']);
  const file = await files.upload({ content, filename: 'rows', purpose: 'user_data' });
  const model = 'tiny-classifier';
  const documents = { format: 'text' } as const;
  const batch = await batches.create({ model, input_file_id: file.id, documents, webhook });
  await webhooks.test(url);
  const job = await jobs.wait(id);
  const { status } = await endOfBatch(client, batch.id);
  const told = await deliveriesOnce(client, ({ status }) => status === 'delivered');
  const all = told.length === CALLBACKS && told.every(({ status }) => status === 'delivered');
  return job.status === 'succeeded' && status === 'completed' && all;
}
