import type { WebhookEndpoint } from '@headrace/client';
import { Button } from '../elements/button.ts';
import { ErrorNotice } from '../elements/notice.ts';
import { Loading, Panel } from '../elements/panel.ts';
import { Text } from '../elements/text.ts';
import { Time } from '../elements/time.ts';
import { api } from '../session/session.ts';
import { useAction } from '../session/use-action.ts';
import { useResource } from '../session/use-resource.ts';
import { h, html } from '../ui.ts';

const REASONS = { gone: 'answered 410', failing: 'failed for days' };

/** URLs that get no more callbacks. */
export function Endpoints() {
  const endpoints = useResource({
    key: 'endpoints',
    load: (signal) => api().webhooks.endpoints({ signal, maxRetries: 0 }),
  });
  const enable = useAction<string>(async (id, signal) => {
    await api().webhooks.enable(id, { signal });
    endpoints.reload();
  });
  const { data, error } = endpoints;
  return h(Panel, {
    title: 'Disabled URLs',
    children: html`${h(ErrorNotice, { error, what: 'They could not be read' })}
      ${h(ErrorNotice, { error: enable.error, what: 'It was not enabled' })}
      ${data === null && error === null && h(Loading, { lines: 2 })}
      ${data?.length === 0 && html`<p class="muted">None: every URL takes calls.</p>`}
      <ul class="rows">
        ${(data ?? []).map(
          (endpoint: WebhookEndpoint) => html`<li key=${endpoint.id} class="row">
            <span>${h(Text, { value: endpoint.url, most: 300 })}</span>
            <span class="muted">${REASONS[endpoint.reason]}, ${h(Time, { at: endpoint.disabled_at })}</span>
            ${h(Button, {
              ...{ busy: enable.running, onClick: () => enable.run(endpoint.id) },
              ...{ label: `Enable ${endpoint.url}`, children: 'Enable' },
            })}
          </li>`,
        )}
      </ul>`,
  });
}
