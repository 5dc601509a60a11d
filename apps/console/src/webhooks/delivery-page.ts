import { HeadraceError, type WebhookDeliveryDetail } from '@headrace/client';
import { Button } from '../elements/button.ts';
import { ErrorNotice, Notice } from '../elements/notice.ts';
import { Empty, Facts, Loading, Page, Panel } from '../elements/panel.ts';
import { Status } from '../elements/status.ts';
import { Text } from '../elements/text.ts';
import { Time } from '../elements/time.ts';
import { count, duration, fullTime } from '../format.ts';
import { hrefOf } from '../route.ts';
import { api } from '../session/session.ts';
import { useAction } from '../session/use-action.ts';
import { useResource } from '../session/use-resource.ts';
import { type Children, h, html } from '../ui.ts';

const REFRESH_MS = 1_000;

/** One delivery and every attempt of it. */
export function DeliveryPage({ id }: { id: string }) {
  const delivery = useResource({
    key: id,
    load: (signal) => api().webhooks.delivery(id, { signal, maxRetries: 0 }),
    everyMs: ({ status }) => (status === 'pending' ? REFRESH_MS : null),
  });
  const redeliver = useAction<null>(async (_, signal) => {
    await api().webhooks.redeliver(id, { signal });
    delivery.reload();
  });
  const { data, error } = delivery;
  const title = html`Delivery <span class="mono">${id}</span>`;
  if (data === null) {
    const gone = error instanceof HeadraceError && error.code === 'not_found';
    const children = gone
      ? h(Notice, { tone: 'warn', title: 'There is no such delivery any more.' })
      : error === null
        ? h(Loading, { lines: 6 })
        : h(ErrorNotice, { error, what: 'The delivery could not be read' });
    return h(Page, { title, children });
  }
  return h(Page, {
    title,
    lead: html`<span role="status">${h(Status, { value: data.status })}</span>`,
    actions: html`${h(Button, {
      ...{ kind: 'primary', busy: redeliver.running, onClick: () => redeliver.run(null) },
      children: data.status === 'pending' ? 'Send now' : 'Redeliver',
    })}
      <a class="button" href=${hrefOf(['webhooks'])}>All deliveries</a>`,
    children: [
      h(ErrorNotice, { error, what: 'The delivery could not be read anew' }),
      h(ErrorNotice, { error: redeliver.error, what: 'It was not sent again' }),
      h(Panel, { title: 'What it is', children: h(Facts, { facts: factsOf(data) }) }),
      h(Panel, {
        title: 'Attempts',
        aside: data.attempts.length < data.attempt_count ? 'the last 50' : null,
        children:
          data.attempts.length === 0
            ? h(Empty, { title: 'None yet.' })
            : h(Attempts, { attempts: data.attempts }),
      }),
    ],
  });
}

function Attempts({ attempts }: Pick<WebhookDeliveryDetail, 'attempts'>) {
  return html`<ol class="rows">
    ${attempts.toReversed().map(
      ({ at, status, error, duration_ms, response_head }, i) => html`<li key=${`${at} ${i}`}>
        <div class="row">
          ${h(Status, {
            value: status !== null && status < 300 ? 'delivered' : 'failed',
            label: status === null ? 'no answer' : `HTTP ${status}`,
          })}
          <span class="muted">${fullTime(at)}, took ${duration(duration_ms)}</span>
        </div>
        ${error !== null && html`<p>${h(Text, { value: error, most: 500 })}</p>`}
        ${
          response_head !== null &&
          response_head !== '' &&
          html`<div class="code">
            <pre tabindex="0" aria-label="How the answer began"><code dir="auto">${response_head}</code></pre>
          </div>`
        }
      </li>`,
    )}
  </ol>`;
}

function factsOf(delivery: WebhookDeliveryDetail): [string, Children][] {
  const { type, url, webhook_id, job, batch, attempt_count } = delivery;
  const about: [string, Children][] = [];
  if (job !== null)
    about.push(['Job', html`<a class="mono" href=${hrefOf(['jobs', job])}>${job}</a>`]);
  if (batch !== null) {
    about.push(['Batch', html`<a class="mono" href=${hrefOf(['batches', batch])}>${batch}</a>`]);
  }
  return [
    ['Event', type],
    ['To', h(Text, { value: url, most: 400 })],
    ...about,
    ['webhook-id', html`<code>${webhook_id}</code>`],
    ['Attempts', count(attempt_count)],
    ['Next attempt', h(Time, { at: delivery.next_attempt_at })],
    ['Settled', h(Time, { at: delivery.settled_at })],
  ];
}
