import { z } from 'zod';

/** Ends that are told of. */
const JOB_EVENTS = ['job.succeeded', 'job.failed', 'job.canceled', 'job.expired'] as const;
const BATCH_EVENTS = [
  'batch.completed',
  'batch.failed',
  'batch.expired',
  'batch.cancelled',
] as const;
/** Sent by `POST /v1/webhooks/test` alone. */
export const TEST_EVENT = 'webhook.test';
export const WEBHOOK_EVENTS = [...JOB_EVENTS, ...BATCH_EVENTS, TEST_EVENT] as const;

const MAX_URL_CHARACTERS = 2_048;

/** An address that a callback can be sent to, by its form; who may be reached is asked later. */
export const WebhookUrlSchema = z
  .string()
  .max(MAX_URL_CHARACTERS)
  .refine(isCallbackUrl, 'must be an http:// or https:// URL without user name and password')
  .describe('http:// or https://, without user name and password.');

/** `webhook` of a job's request. */
export const JobWebhookSchema = webhookOf(JOB_EVENTS);
/** `webhook` of a batch's request. */
export const BatchWebhookSchema = webhookOf(BATCH_EVENTS);

/** Where the end of a job or batch is told, as it is kept with it. */
export const WebhookTargetSchema = z.object({
  url: z.string(),
  /** Of which ends; null: of every one. */
  events: z.array(z.string()).nullable(),
  /** How long the delivery and its log are kept. */
  ttl_s: z.number(),
});
export type WebhookTarget = z.infer<typeof WebhookTargetSchema>;

function webhookOf<const Events extends readonly [string, ...string[]]>(events: Events) {
  return z
    .strictObject({
      url: WebhookUrlSchema,
      events: z
        .array(z.enum(events))
        .min(1)
        .max(events.length)
        .optional()
        .describe('Of which ends; without it, of every one.'),
    })
    .describe('Told of the end by a signed POST; see /v1/webhooks/deliveries.');
}

function isCallbackUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}
