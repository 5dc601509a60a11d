import { deliveryIds } from '../ids.ts';
import type { JobRecord } from '../jobs.ts';
import { type Keyspace, WEBHOOKS_QUEUE } from '../queues.ts';
import { bytesBeforeJob } from '../stored-record.ts';
import type { WebhookTarget } from './webhook-target.ts';

interface FinishedCallback {
  record: JobRecord;
  webhook: WebhookTarget;
  trace: string | undefined;
}

/**
 * What `finish-jobs.lua` needs to have a terminal state told, beside the record; null when nobody
 * asked for this one. The script cuts the body out of the record, so that a large result is sent to
 * Redis but once.
 */
export function callbackArgs(
  keys: Keyspace,
  { record, webhook, trace }: FinishedCallback,
): (string | number)[] | null {
  const { job, tenant } = record;
  const type = `job.${job.status}`;
  if (webhook.events !== null && !webhook.events.includes(type)) return null;
  const { delivery, message } = deliveryIds(job.id);
  const createdMs = Math.round((job.finished_at ?? 0) * 1000);
  return [
    ...[bytesBeforeJob(record), keys.delivery(delivery), keys.deliveries(tenant)],
    ...[keys.bull(WEBHOOKS_QUEUE, ''), new Date(createdMs).toISOString()],
    ...[delivery, message, tenant, webhook.url, type, job.id, createdMs, webhook.ttl_s * 1000],
    trace ?? '',
  ];
}
