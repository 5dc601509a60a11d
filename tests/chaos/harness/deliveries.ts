import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WebhookDelivery } from '@headrace/client';

const GIVE_UP_MS = 60_000;
const ASK_AGAIN_MS = 100;

/** Every delivery of a tenant, newest first. */
export async function allDeliveries({ webhooks }: Client): Promise<WebhookDelivery[]> {
  const all: WebhookDelivery[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await webhooks.deliveries({ limit: 100, after });
    all.push(...page.data);
    if (!page.has_more || page.last_id === null) return all;
    after = page.last_id;
  }
}

/** Every delivery of a tenant, once `done` of each of them, or a minute later as they are then. */
export async function deliveriesOnce(
  client: Client,
  done: (delivery: WebhookDelivery) => boolean,
): Promise<WebhookDelivery[]> {
  const deadline = performance.now() + GIVE_UP_MS;
  for (;;) {
    const all = await allDeliveries(client);
    if (all.every(done) || performance.now() > deadline) return all;
    await sleep(ASK_AGAIN_MS);
  }
}
