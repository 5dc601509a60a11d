import { type Client, createClient, type Scope } from '@headrace/client';

/** Of the API, so that keys can be created. */
export const ADMIN_KEY = 'an-admin-key-of-more-than-32-characters';
const SCOPES: Scope[] = ['jobs', 'batches', 'webhooks'];

/** A tenant with a key that may do all that concerns the tenant alone. */
export interface Tenant {
  name: string;
  client: Client;
  headers: { authorization: string };
}

/** @param baseUrl of an API whose HEADRACE_ADMIN_KEY is `ADMIN_KEY` */
export async function createTenant(baseUrl: string, name: string): Promise<Tenant> {
  const admin = createClient({ baseUrl, apiKey: ADMIN_KEY });
  const { secret } = await admin.keys.create({ name, tenant: name, scopes: SCOPES });
  const headers = { authorization: `Bearer ${secret}` };
  return { name, client: createClient({ baseUrl, apiKey: secret }), headers };
}
