import type { WebhookDelivery } from '@headrace/client';
import { Status } from '../elements/status.ts';
import type { Column } from '../elements/table.ts';
import { Text } from '../elements/text.ts';
import { Time } from '../elements/time.ts';
import { count } from '../format.ts';
import { hrefOf } from '../route.ts';
import { h, html } from '../ui.ts';

export const DELIVERY_COLUMNS: Column<WebhookDelivery>[] = [
  { name: 'Status', cell: ({ status }) => h(Status, { value: status }) },
  {
    name: 'Event',
    cell: ({ id, type }) => html`<a href=${hrefOf(['webhooks', id])}>${type}</a>`,
  },
  { name: 'To', cell: ({ url }) => h(Text, { value: url, oneLine: true }), wide: true },
  { name: 'Attempts', cell: ({ attempt_count }) => count(attempt_count), number: true },
  {
    name: 'Next',
    cell: (delivery) => h(Time, { at: delivery.next_attempt_at }),
    wide: true,
    number: true,
  },
  { name: 'Made', cell: ({ created_at }) => h(Time, { at: created_at }), number: true },
];
