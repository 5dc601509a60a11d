import type { ApiKey, KeyRequest, NewApiKey } from './api-types.ts';
import { type List, listOf } from './pages.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface KeyQuery extends CallOptions {
  /** Keys of a page, 100 at most. */
  limit?: number | undefined;
  /** The `last_id` of the page before. */
  after?: string | undefined;
}

/** Keys of all tenants; they take a key with the scope `admin`. */
export function createKeys(transport: Transport) {
  return {
    /** The one answer that holds the secret. Not repeated unless the server refused it. */
    create(request: KeyRequest, call: CallOptions = {}): Promise<NewApiKey> {
      return transport.json({ ...call, method: 'POST', path: '/v1/keys', json: request });
    },

    list({ limit, after, ...call }: KeyQuery = {}): List<ApiKey> {
      const path = '/v1/keys';
      return listOf(
        (from) => transport.json({ ...call, path, query: { limit, after: from } }),
        after,
      );
    },

    get(id: string, call: CallOptions = {}): Promise<ApiKey> {
      return transport.json({ ...call, path: pathOf(id) });
    },

    revoke(id: string, call: CallOptions = {}): Promise<ApiKey> {
      return transport.json({ ...call, method: 'POST', path: `${pathOf(id)}/revoke` });
    },
  };
}

function pathOf(id: string): string {
  return `/v1/keys/${encodeURIComponent(id)}`;
}
