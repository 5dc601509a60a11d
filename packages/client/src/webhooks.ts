import type {
  DeliveryStatus,
  NewWebhookSecret,
  WebhookDelivery,
  WebhookDeliveryDetail,
  WebhookEndpoint,
  WebhookRedelivered,
  WebhookRedeliverRequest,
  WebhookSecret,
} from './api-types.ts';
import { type List, listOf } from './pages.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface DeliveryQuery extends CallOptions {
  /** Of one job. */
  job?: string | undefined;
  /** Of one batch. */
  batch?: string | undefined;
  status?: DeliveryStatus | undefined;
  /** Deliveries of a page, 100 at most. */
  limit?: number | undefined;
  /** The `last_id` of the page before. */
  after?: string | undefined;
}

interface All<T> {
  data: T[];
}

const BASE = '/v1/webhooks';

/** The log of callbacks, the secrets that sign them, and the URLs that get no more of them. */
export function createWebhooks(transport: Transport) {
  return {
    deliveries(query: DeliveryQuery = {}): List<WebhookDelivery> {
      const { job, batch, status, limit, after, ...call } = query;
      const path = `${BASE}/deliveries`;
      const filters = { job, batch, status, limit };
      return listOf(
        (from) => transport.json({ ...call, path, query: { ...filters, after: from } }),
        after,
      );
    },

    /** A delivery and its attempts. */
    delivery(id: string, call: CallOptions = {}): Promise<WebhookDeliveryDetail> {
      return transport.json({ ...call, path: deliveryPath(id) });
    },

    /** Sends it again, under its `webhook-id`. */
    redeliver(id: string, call: CallOptions = {}): Promise<WebhookDeliveryDetail> {
      return transport.json({ ...call, method: 'POST', path: `${deliveryPath(id)}/redeliver` });
    },

    /** Sends those that fit again, a page at a time: go on with `after` while there are more. */
    redeliverAll(
      request: WebhookRedeliverRequest,
      call: CallOptions = {},
    ): Promise<WebhookRedelivered> {
      const path = `${BASE}/deliveries/redeliver`;
      return transport.json({ ...call, method: 'POST', path, json: request });
    },

    /** Sends a test event; the delivery tells what came of it. */
    test(url: string, call: CallOptions = {}): Promise<WebhookDeliveryDetail> {
      return transport.json({ ...call, method: 'POST', path: `${BASE}/test`, json: { url } });
    },

    async secrets(call: CallOptions = {}): Promise<WebhookSecret[]> {
      return (await transport.json<All<WebhookSecret>>({ ...call, path: `${BASE}/secrets` })).data;
    },

    /** A new secret, shown this once; the one before stays good for `overlapS` (a day). */
    rotateSecret({ overlapS, ...call }: CallOptions & { overlapS?: number } = {}) {
      return transport.json<NewWebhookSecret>({
        ...call,
        method: 'POST',
        path: `${BASE}/secrets`,
        json: overlapS === undefined ? {} : { overlap_s: overlapS },
      });
    },

    /** URLs that are disabled. */
    async endpoints(call: CallOptions = {}): Promise<WebhookEndpoint[]> {
      const path = `${BASE}/endpoints`;
      return (await transport.json<All<WebhookEndpoint>>({ ...call, path })).data;
    },

    async enable(id: string, call: CallOptions = {}): Promise<void> {
      const path = `${BASE}/endpoints/${encodeURIComponent(id)}/enable`;
      await transport.send({ ...call, method: 'POST', path });
    },
  };
}

function deliveryPath(id: string): string {
  return `${BASE}/deliveries/${encodeURIComponent(id)}`;
}
