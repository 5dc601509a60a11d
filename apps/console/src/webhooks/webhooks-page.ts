import type { DeliveryStatus, WebhookDelivery } from '@headrace/client';
import { SelectField } from '../elements/field.ts';
import { ErrorNotice } from '../elements/notice.ts';
import { Empty, Loading, Page, Panel } from '../elements/panel.ts';
import { Table } from '../elements/table.ts';
import { goTo, hrefOf, type Route } from '../route.ts';
import { api } from '../session/session.ts';
import { useResource } from '../session/use-resource.ts';
import { h, html } from '../ui.ts';
import { DELIVERY_COLUMNS } from './delivery-columns.ts';
import { DeliveryPage } from './delivery-page.ts';
import { Endpoints } from './endpoints.ts';
import { Secrets } from './secrets.ts';
import { TestEvent } from './test-event.ts';

const STATUSES: DeliveryStatus[] = ['pending', 'delivered', 'failed', 'disabled'];
const PAGE = 25;
const REFRESH_MS = 3_000;

export function WebhooksPage({ route }: { route: Route }) {
  const [, id] = route.parts;
  return id === undefined ? h(WebhookLists, { route }) : h(DeliveryPage, { id });
}

function WebhookLists({ route }: { route: Route }) {
  return h(Page, {
    title: 'Webhooks',
    lead: 'What was told to whom when a job or a batch came to its end, and what came of it.',
    children: [
      h(Deliveries, { route }),
      html`<div class="columns">
        <div class="stack">${h(TestEvent, {})} ${h(Endpoints, {})}</div>
        ${h(Secrets, {})}
      </div>`,
    ],
  });
}

function Deliveries({ route }: { route: Route }) {
  const status = STATUSES.find((known) => known === route.query.get('status'));
  const after = route.query.get('after') ?? undefined;
  const deliveries = useResource({
    key: JSON.stringify([status, after]),
    load: (signal) =>
      api().webhooks.deliveries({ status, after, limit: PAGE, signal, maxRetries: 0 }),
    everyMs: after === undefined ? REFRESH_MS : null,
  });
  const { data, error } = deliveries;
  const filter = h(SelectField, {
    label: 'Status',
    value: status ?? '',
    options: [{ value: '', label: 'Any' }, ...STATUSES.map((s) => ({ value: s, label: s }))],
    onChange: (value) => goTo(hrefOf(['webhooks'], { status: value })),
  });
  return html`<div class="fields">${filter}</div>
    ${h(ErrorNotice, { error, what: 'The deliveries could not be read' })}
    ${h(Panel, {
      title: 'Deliveries',
      class: 'flush',
      children:
        data === null
          ? error === null && h(Loading, { lines: 5 })
          : data.data.length === 0
            ? h(Empty, {
                title: status === undefined ? 'Nothing was sent yet.' : 'No delivery fits.',
              })
            : h(Table<WebhookDelivery>, {
                ...{ label: 'Deliveries', columns: DELIVERY_COLUMNS, rows: data.data },
                keyOf: (each) => each.id,
              }),
    })}
    <div class="row end">
      ${after !== undefined && html`<a class="button" href=${hrefOf(['webhooks'], { status })}>Newest</a>`}
      ${
        data?.has_more === true &&
        html`<a class="button" href=${hrefOf(['webhooks'], { status, after: data.last_id })}>Older</a>`
      }
    </div>`;
}
