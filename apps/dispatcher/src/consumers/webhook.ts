import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import { PAYLOAD_VERSIONS } from '@headrace/shared/stored-payload.ts';
import type { Tracing } from '@headrace/shared/tracing/tracing.ts';
import { DELIVERY_STATUSES, type DeliveryState } from '@headrace/shared/webhooks/delivery.ts';
import type { AttemptOutcome, DeliveryStore } from '@headrace/shared/webhooks/delivery-store.ts';
import type { EndpointStore } from '@headrace/shared/webhooks/endpoint-store.ts';
import type { SecretStore } from '@headrace/shared/webhooks/secret-store.ts';
import { z } from 'zod';
import { type AttemptResult, attemptDelivery } from '../webhooks/attempt.ts';
import { batchBody } from '../webhooks/batch-body.ts';
import type { CallbackClient } from '../webhooks/callback-client.ts';
import { CALLBACK_FAILURES } from '../webhooks/callback-error.ts';
import { ReceiverSlots } from '../webhooks/receiver-slots.ts';
import { nextDelayMs } from '../webhooks/schedule.ts';
import { traceAttempt } from '../webhooks/trace-attempt.ts';

export interface DeliverDeps {
  deliveries: DeliveryStore;
  endpoints: EndpointStore;
  secrets: SecretStore;
  batches: BatchStore;
  client: CallbackClient;
  metrics: Metrics;
  tracing?: Tracing | undefined;
  /** The wait before each attempt, of which the first is 0. */
  scheduleMs: number[];
  timeoutMs: number;
  /** After how long of nothing but failures an endpoint is disabled. */
  disableAfterMs: number;
  /** Attempts that run at once. */
  concurrency: number;
  /** Ends attempts that run: another dispatcher makes them. */
  signal: AbortSignal;
  now?: () => number;
}

/** What a job of the queue of deliveries carries. */
const DeliveryJob = z.object({ delivery: z.string(), round: z.number() });
/** What it says in every version; without `v` it is of version 1. */
const DeliveryHead = z.object({ v: z.int().default(1), delivery: z.string() });
/** Until a delivery that this dispatcher cannot read comes again. */
const PUT_OFF_MS = 5_000;

/** Counted from 0 on, as attempts are: the first one that fails is an increase then. */
const SETTLED = DELIVERY_STATUSES.filter((status) => status !== 'pending');
const CODES: Record<AttemptResult['outcome'], readonly string[]> = {
  delivered: ['2xx'],
  gone: ['4xx'],
  failed: ['3xx', '4xx', '5xx', ...CALLBACK_FAILURES],
};
/** The shares of all attempts that slow receivers have at most: a host, and all of a tenant's. */
const SHARE_OF_HOST = 1 / 4;
const SHARE_OF_TENANT = 3 / 4;
const PATIENCE_MS = 1_000;
/** How long a delivery to a slow receiver stands aside. */
const ASIDE_MS = 5_000;
/** Bodies that are held at once; a result may have 16 MB, and be held as text and as bytes. */
const MAX_HELD_BYTES = 32 * 2 ** 20;
/** What a larger body counts as: there is hardly ever none beside it. */
const LARGEST_COUNTED = (3 / 4) * MAX_HELD_BYTES;
/** How long a body that does not fit beside the others stays in Redis. */
const ROOM_MS = 250;

/**
 * Takes a delivery one step on. It may be called for the same delivery again, after a crash: what is
 * settled stays, what is not due waits, and an attempt of which nothing was recorded is repeated.
 * @returns when to come again, in ms; null when the delivery is settled
 */
export function createDeliver(deps: DeliverDeps): (job: unknown) => Promise<number | null> {
  const { deliveries, endpoints, metrics, concurrency, now = Date.now } = deps;
  countFromZero(metrics);
  const takeSlot = createSlots(concurrency);
  let heldBytes = 0;

  /** Not all at once. */
  const later = (ms: number) => Math.ceil(now() + ms * (1 + Math.random()));

  async function record(delivery: DeliveryState, outcome: Outcome): Promise<number | null> {
    const { disableAfterMs } = deps;
    const full = { ...outcome, nowMs: now(), disableAfterMs };
    const status = await deliveries.record(delivery, full);
    if (status === 'pending') return outcome.nextMs;
    if (status !== null) metrics.counters.webhook_deliveries.inc({ outcome: status });
    return null;
  }

  async function attempt(delivery: DeliveryState, body: string): Promise<number | null> {
    const { client, timeoutMs, signal, secrets } = deps;
    const nowMs = now();
    const live = await secrets.ensure(delivery.tenant, nowMs);
    const trace = traceAttempt(deps.tracing, delivery);
    const { traceparent } = trace;
    const options = { client, secrets: live.map(({ secret }) => secret), timeoutMs, nowMs };
    const attempted = attemptDelivery(delivery, body, { ...options, signal, traceparent });
    attempted.then(trace.end, () => trace.end(null));
    const result = await attempted;
    measure(metrics, result);
    return record(delivery, outcomeOf(delivery, result, { ...deps, nowMs: now() }));
  }

  /** With a body that finds room beside those of the attempts that run. */
  async function send(delivery: DeliveryState): Promise<number | null> {
    const bytes = Math.min(delivery.bytes, LARGEST_COUNTED);
    if (heldBytes > 0 && heldBytes + bytes > MAX_HELD_BYTES) return later(ROOM_MS);
    heldBytes += bytes;
    try {
      const body = await bodyOf(deps, delivery);
      if (body === null) return await record(delivery, unsent(delivery, 'failed'));
      return await attempt(delivery, body);
    } finally {
      heldBytes -= bytes;
    }
  }

  return async (job) => {
    const head = DeliveryHead.parse(job);
    if (head.v > PAYLOAD_VERSIONS.delivery) {
      return (await deliveries.exists(head.delivery)) ? later(PUT_OFF_MS) : null;
    }
    const { delivery: id, round } = DeliveryJob.parse(job);
    const delivery = await deliveries.read(id);
    if (delivery?.status !== 'pending' || delivery.round !== round) return null;
    if (delivery.next_ms !== null && delivery.next_ms > now()) return delivery.next_ms;
    const { tenant, url } = delivery;
    if (await endpoints.isDisabled(tenant, url)) {
      return record(delivery, unsent(delivery, 'disabled'));
    }
    const release = await takeSlot(delivery);
    if (release === null) return later(ASIDE_MS);
    try {
      return await send(delivery);
    } finally {
      release();
    }
  };
}

/** A host is one receiver, however many URLs of it there are: one for each job, perhaps. */
function createSlots(concurrency: number) {
  const shareOf = (share: number) =>
    new ReceiverSlots({ perReceiver: Math.ceil(concurrency * share), patienceMs: PATIENCE_MS });
  const hosts = shareOf(SHARE_OF_HOST);
  const tenants = shareOf(SHARE_OF_TENANT);
  return async ({ tenant, url }: DeliveryState): Promise<(() => void) | null> => {
    const leaveHost = await hosts.take(`${tenant} ${new URL(url).host}`);
    if (leaveHost === null) return null;
    const leaveTenant = await tenants.take(tenant);
    if (leaveTenant === null) {
      leaveHost();
      return null;
    }
    return () => {
      leaveTenant();
      leaveHost();
    };
  };
}

type Outcome = Omit<AttemptOutcome, 'nowMs' | 'disableAfterMs'>;

/** A job's end brings its body along; that of a batch is made of the batch. */
async function bodyOf(deps: DeliverDeps, delivery: DeliveryState): Promise<string | null> {
  return (await deps.deliveries.body(delivery.id)) ?? batchBody(deps.batches, delivery);
}

/** No attempt was made, and none is. */
function unsent({ step }: DeliveryState, status: 'failed' | 'disabled'): Outcome {
  return { attempt: null, nextMs: null, step, endpoint: null, status };
}

function outcomeOf(
  { step }: DeliveryState,
  { attempt, outcome, retryAfterMs }: AttemptResult,
  { scheduleMs, nowMs }: Pick<DeliverDeps, 'scheduleMs'> & { nowMs: number },
): Outcome {
  const made = { attempt, step: step + 1 };
  if (outcome === 'delivered') {
    return { ...made, status: 'delivered', nextMs: null, endpoint: 'good' };
  }
  const endpoint = outcome === 'gone' ? 'gone' : 'bad';
  const failure = { attempts: made.step, retryAfterMs, random: Math.random() };
  const delayMs = nextDelayMs(scheduleMs, failure);
  if (delayMs === null) return { ...made, status: 'failed', nextMs: null, endpoint };
  return { ...made, status: 'pending', nextMs: Math.ceil(nowMs + delayMs), endpoint };
}

function countFromZero({ counters }: Metrics): void {
  for (const outcome of SETTLED) counters.webhook_deliveries.inc({ outcome }, 0);
  for (const [outcome, codes] of Object.entries(CODES)) {
    for (const code of codes) counters.webhook_attempts.inc({ outcome, code }, 0);
  }
}

function measure(metrics: Metrics, { attempt, outcome }: AttemptResult): void {
  const { status, error, duration_ms } = attempt;
  const code = status === null ? (error ?? '') : `${Math.floor(status / 100)}xx`;
  metrics.counters.webhook_attempts.inc({ outcome, code });
  metrics.histograms.webhook_attempt_seconds.observe({ outcome }, duration_ms / 1000);
}
