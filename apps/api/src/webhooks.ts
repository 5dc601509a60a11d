import { AppError } from '@headrace/shared/errors.ts';
import { deliveryIds, endpointId, isDeliveryId, isEndpointId } from '@headrace/shared/ids.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import {
  type Delivery,
  type DeliveryDetail,
  type DeliveryState,
  type DeliveryStatus,
  deliveryView,
} from '@headrace/shared/webhooks/delivery.ts';
import { DeliveryStore } from '@headrace/shared/webhooks/delivery-store.ts';
import { type Endpoint, EndpointStore } from '@headrace/shared/webhooks/endpoint-store.ts';
import type { ReceiverRules } from '@headrace/shared/webhooks/receiver-rules.ts';
import { SecretStore, type StoredSecret } from '@headrace/shared/webhooks/secret-store.ts';
import type { Redis } from 'ioredis';
import { checkReceiver } from './webhook-request.ts';

interface WebhooksDeps {
  redis: Redis;
  keys: Keyspace;
  receivers: ReceiverRules;
  deliveryTtlS: number;
  /** @throws AppError when Redis takes nothing more */
  admit: () => void;
  now?: () => number;
}

export interface DeliveryFilter {
  /** Of a job, or of a batch. */
  of: string | null;
  statuses: DeliveryStatus[] | null;
  url: string | null;
  /** Unix seconds; those that were made, or sent anew, since. */
  sinceS: number | null;
}

interface DeliveryPage {
  data: Delivery[];
  has_more: boolean;
  first_id: string | null;
  last_id: string | null;
}

/** Times are unix seconds. */
export interface SecretView {
  id: string;
  object: 'webhook.secret';
  created_at: number;
  expires_at: number | null;
}

export type Webhooks = ReturnType<typeof createWebhooks>;

const IDS_A_STEP = 100;
/** How many deliveries one call looks at; a rare match further back needs another call. */
const MAX_SCANNED = 5_000;
const MAX_ENDPOINTS = 1_000;

/** The log of a tenant's callbacks, its secrets, and its endpoints. */
export function createWebhooks(deps: WebhooksDeps) {
  const { redis, keys, receivers, deliveryTtlS, admit, now = Date.now } = deps;
  const deliveries = new DeliveryStore(redis, keys);
  const endpoints = new EndpointStore(redis, keys);
  const secrets = new SecretStore(redis, keys);

  async function find(tenant: string, id: string): Promise<DeliveryState> {
    const [found = null] = isDeliveryId(id) ? await deliveries.readMany([id]) : [];
    if (found?.tenant === tenant) return found;
    throw new AppError('not_found', { message: 'No such delivery.' });
  }

  async function detail(tenant: string, id: string): Promise<DeliveryDetail> {
    const state = await find(tenant, id);
    return { ...render(state), attempts: await deliveries.attempts(state) };
  }

  async function list(tenant: string, filter: DeliveryFilter, page: Paging): Promise<DeliveryPage> {
    if (filter.of !== null) return ofOne(tenant, filter);
    return scan({ deliveries, tenant, filter }, page);
  }

  /** A job or a batch has one delivery, whose id follows from its own. */
  async function ofOne(tenant: string, filter: DeliveryFilter): Promise<DeliveryPage> {
    const [state = null] = await deliveries.readMany([deliveryIds(filter.of ?? '').delivery]);
    const fits = state?.tenant === tenant && matches(state, filter);
    return pageOf(fits ? [render(state)] : [], false, null);
  }

  return {
    get: detail,
    list,

    /** @throws AppError `not_found`, `delivery_without_body` */
    async redeliver(tenant: string, id: string): Promise<DeliveryDetail> {
      await find(tenant, id);
      const problem = await deliveries.redeliver(tenant, id, now());
      if (problem === 'empty') throw new AppError('delivery_without_body');
      return detail(tenant, id);
    },

    /** Sends those again that fit; what has no body any more is passed over. */
    async redeliverAll(tenant: string, filter: DeliveryFilter, page: Paging) {
      const { data, has_more, last_id } = await list(tenant, filter, page);
      const sent = await Promise.all(data.map(({ id }) => deliveries.redeliver(tenant, id, now())));
      return { redelivered: sent.filter((problem) => problem === null).length, has_more, last_id };
    },

    /** @throws AppError `invalid_request` when callbacks may not go there, `storage_nearly_full` */
    async test(tenant: string, url: string): Promise<DeliveryDetail> {
      admit();
      checkReceiver(url, receivers, 'url');
      const id = await deliveries.addTest({ tenant, url, nowMs: now(), ttlS: deliveryTtlS });
      return detail(tenant, id);
    },

    async secrets(tenant: string): Promise<SecretView[]> {
      return (await secrets.live(tenant, now())).map(secretView);
    },

    /** A new secret, which is shown this once. */
    async rotateSecret(tenant: string, overlapS: number) {
      const [made] = await secrets.rotate(tenant, now(), overlapS * 1000);
      if (made === undefined) throw new AppError('internal');
      return { ...secretView(made), secret: made.secret };
    },

    endpoints: (tenant: string): Promise<Endpoint[]> => endpoints.list(tenant, MAX_ENDPOINTS),

    /** @throws AppError `not_found` unless it is the tenant's and disabled */
    async enable(tenant: string, id: string): Promise<void> {
      if (isEndpointId(id) && (await endpoints.enable(tenant, id))) return;
      throw new AppError('not_found', { message: 'No such endpoint is disabled.' });
    },
  };
}

interface Paging {
  limit: number;
  after: string | null;
}

interface Scan {
  deliveries: DeliveryStore;
  tenant: string;
  filter: DeliveryFilter;
}

/**
 * Newest first. `has_more` is true while older ones are left to look at, so a page may be short and
 * still have a `last_id` to go on from.
 */
async function scan({ deliveries, tenant, filter }: Scan, paging: Paging): Promise<DeliveryPage> {
  const data: Delivery[] = [];
  let cursor = paging.after;
  for (let scanned = 0; scanned < MAX_SCANNED; scanned += IDS_A_STEP) {
    const ids = await deliveries.list(tenant, cursor, IDS_A_STEP);
    const states = await deliveries.readMany(ids);
    for (const [i, id] of ids.entries()) {
      if (data.length === paging.limit) return pageOf(data, true, cursor);
      cursor = id;
      const state = states[i];
      if (state && state.tenant === tenant && matches(state, filter)) data.push(render(state));
    }
    if (ids.length < IDS_A_STEP) return pageOf(data, false, null);
  }
  return pageOf(data, true, cursor);
}

function pageOf(data: Delivery[], hasMore: boolean, cursor: string | null): DeliveryPage {
  const last = cursor ?? data.at(-1)?.id ?? null;
  return { data, has_more: hasMore, first_id: data[0]?.id ?? null, last_id: last };
}

function matches(state: DeliveryState, { of, statuses, url, sinceS }: DeliveryFilter): boolean {
  if (of !== null && state.of !== of) return false;
  if (statuses !== null && !statuses.includes(state.status)) return false;
  if (url !== null && state.url !== url) return false;
  return sinceS === null || state.created_ms >= sinceS * 1000;
}

function render(state: DeliveryState): Delivery {
  return deliveryView(state, endpointId(state.tenant, state.url));
}

function secretView({ id, created_ms, expires_ms }: StoredSecret): SecretView {
  const expires_at = expires_ms === undefined ? null : expires_ms / 1000;
  return { id, object: 'webhook.secret', created_at: created_ms / 1000, expires_at };
}
