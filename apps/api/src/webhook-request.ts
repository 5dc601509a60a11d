import { AppError } from '@headrace/shared/errors.ts';
import { type ReceiverRules, receiverProblem } from '@headrace/shared/webhooks/receiver-rules.ts';
import type { WebhookTarget } from '@headrace/shared/webhooks/webhook-target.ts';

interface Webhook {
  url: string;
  events?: string[] | undefined;
}

/**
 * What a request says of a webhook, as it is kept with its job or batch.
 * @throws AppError `invalid_request` when callbacks may not go there
 */
export type ToWebhookTarget = (webhook: Webhook | null | undefined) => WebhookTarget | undefined;

/** @param ttlS how long a delivery and its log are kept */
export function createToWebhookTarget(rules: ReceiverRules, ttlS: number): ToWebhookTarget {
  return (webhook) => {
    if (webhook === null || webhook === undefined) return undefined;
    const { url, events = null } = webhook;
    checkReceiver(url, rules, 'webhook.url');
    return { url, events, ttl_s: ttlS };
  };
}

/** @throws AppError `invalid_request` when callbacks may not go to a URL */
export function checkReceiver(url: string, rules: ReceiverRules, param: string): void {
  const problem = receiverProblem(url, rules);
  if (problem === null) return;
  throw new AppError('invalid_request', { message: `${param}: ${problem}`, param });
}
