import type { WebhookDelivery } from '@headrace/client';
import { Panel } from '../elements/panel.ts';
import { Table } from '../elements/table.ts';
import { api } from '../session/session.ts';
import { useResource } from '../session/use-resource.ts';
import { h } from '../ui.ts';
import { DELIVERY_COLUMNS } from './delivery-columns.ts';

const REFRESH_MS = 3_000;

/** What was told of a job or a batch; nothing is shown where nothing is to be told. */
export function DeliveriesOf(subject: { job: string } | { batch: string }) {
  const key = JSON.stringify(subject);
  const deliveries = useResource({
    key,
    load: (signal) => api().webhooks.deliveries({ ...subject, limit: 20, signal, maxRetries: 0 }),
    everyMs: REFRESH_MS,
  });
  const rows = deliveries.data?.data ?? [];
  if (rows.length === 0) return null;
  return h(Panel, {
    title: 'Webhook deliveries',
    class: 'flush',
    children: h(Table<WebhookDelivery>, {
      ...{ label: 'Webhook deliveries', columns: DELIVERY_COLUMNS, rows },
      keyOf: ({ id }) => id,
    }),
  });
}
