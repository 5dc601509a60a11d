import { z } from 'zod';
import { isBatchId, isJobId } from '../ids.ts';
import { WEBHOOK_EVENTS } from './webhook-target.ts';

export const DELIVERY_STATUSES = ['pending', 'delivered', 'failed', 'disabled'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export const AttemptSchema = z
  .object({
    at: z.number(),
    status: z.int().nullable().describe('Of the answer; null when there was none.'),
    error: z.string().nullable().describe('Why there was no answer.'),
    duration_ms: z.number(),
    response_head: z.string().nullable().describe("Of the answer's body, 1 KB at most."),
  })
  .meta({ id: 'WebhookAttempt' });
export type Attempt = z.infer<typeof AttemptSchema>;

const time = z.coerce.number().nullable().default(null);

/** Fields of a delivery's hash in Redis, but for its body and its attempts. */
export const DeliveryStateSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  url: z.string(),
  type: z.enum(WEBHOOK_EVENTS),
  /** The job or batch. */
  of: z.string(),
  message: z.string(),
  created_ms: z.coerce.number(),
  ttl_ms: z.coerce.number(),
  /** Of the body; 0 of a batch's, which is small. */
  bytes: z.coerce.number(),
  status: z.enum(DELIVERY_STATUSES),
  /** Counts redeliveries: a job of an earlier round has nothing to do any more. */
  round: z.coerce.number(),
  /** Attempts of this round. */
  step: z.coerce.number(),
  attempt_count: z.coerce.number(),
  next_ms: time,
  settled_ms: time,
  /** The span that led to it, while tracing is on. */
  traceparent: z.string().nullable().default(null),
});
export type DeliveryState = z.infer<typeof DeliveryStateSchema>;

/** A delivery as callers see it in a list. Times are unix seconds. */
export const DeliverySchema = z
  .object({
    id: z.string(),
    object: z.literal('webhook.delivery'),
    webhook_id: z.string().describe('The header `webhook-id`, the same in every attempt.'),
    type: z.enum(WEBHOOK_EVENTS),
    url: z.string(),
    endpoint: z.string().describe('Its id; an endpoint is a URL of yours.'),
    job: z.string().nullable(),
    batch: z.string().nullable(),
    status: z.enum(DELIVERY_STATUSES),
    attempt_count: z.int(),
    created_at: z.number(),
    next_attempt_at: z.number().nullable(),
    settled_at: z.number().nullable(),
  })
  .meta({ id: 'WebhookDelivery' });
export type Delivery = z.infer<typeof DeliverySchema>;

export const DeliveryDetailSchema = DeliverySchema.extend({
  attempts: z.array(AttemptSchema).describe('The last 50, oldest first.'),
}).meta({ id: 'WebhookDeliveryDetail' });
export type DeliveryDetail = z.infer<typeof DeliveryDetailSchema>;

/** Seconds for callers out of what Redis holds. */
export function deliveryView(state: DeliveryState, endpoint: string): Delivery {
  const { id, type, url, of, status, attempt_count } = state;
  return {
    ...{ id, object: 'webhook.delivery', webhook_id: state.message, type, url, endpoint },
    job: isJobId(of) ? of : null,
    batch: isBatchId(of) ? of : null,
    ...{ status, attempt_count },
    created_at: state.created_ms / 1000,
    next_attempt_at: status === 'pending' ? seconds(state.next_ms) : null,
    settled_at: seconds(state.settled_ms),
  };
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}
