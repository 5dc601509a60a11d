import type { ApiKey, NewApiKey } from '@headrace/client';
import { useState } from 'preact/hooks';
import { ConfirmButton } from '../elements/button.ts';
import { ErrorNotice } from '../elements/notice.ts';
import { Empty, Loading, Page, Panel } from '../elements/panel.ts';
import { Status } from '../elements/status.ts';
import { type Column, Table } from '../elements/table.ts';
import { Text } from '../elements/text.ts';
import { Time } from '../elements/time.ts';
import { amount } from '../format.ts';
import { hrefOf, type Route } from '../route.ts';
import { api, hasKey } from '../session/session.ts';
import { type Action, useAction } from '../session/use-action.ts';
import { useResource } from '../session/use-resource.ts';
import { h, html } from '../ui.ts';
import { NewKey } from './new-key.ts';
import { NewKeyForm } from './new-key-form.ts';

const PAGE = 50;

/** Who may call: keys of all tenants. */
export function KeysPage({ route }: { route: Route }) {
  const after = route.query.get('after') ?? undefined;
  const [made, setMade] = useState<NewApiKey | null>(null);
  const keys = useResource({
    key: after ?? '',
    load: (signal) => api().keys.list({ after, limit: PAGE, signal, maxRetries: 0 }),
  });
  const revoke = useAction<string>(async (id, signal) => {
    await api().keys.revoke(id, { signal });
    keys.reload();
  });
  const { data, error } = keys;
  const none = data !== null && data.data.length === 0 && after === undefined;
  // Whoever needed a key for this page has one that is not of the list.
  const isFirst = none && !hasKey();
  return h(Page, {
    title: 'Keys',
    lead: 'Who may call, for what, and how much. A key that is revoked ends within ten seconds.',
    children: [
      h(ErrorNotice, { error, what: 'The keys could not be read' }),
      made !== null && h(NewKey, { made, onDone: () => setMade(null) }),
      data !== null &&
        h(NewKeyForm, {
          isFirst,
          onMade: (key) => {
            setMade(key);
            keys.reload();
          },
        }),
      h(ErrorNotice, { error: revoke.error, what: 'It was not revoked' }),
      h(Panel, {
        class: 'flush',
        children:
          data === null
            ? error === null && h(Loading, { lines: 4 })
            : data.data.length === 0
              ? h(Empty, {
                  title: 'There are no keys.',
                  children:
                    isFirst && 'As long as there are none, whoever reaches the port may call.',
                })
              : h(Table<ApiKey>, {
                  ...{ label: 'Keys', columns: columnsOf(revoke), rows: data.data },
                  keyOf: ({ id }) => id,
                }),
      }),
      html`<div class="row end">
        ${after !== undefined && html`<a class="button" href=${hrefOf(['keys'])}>Newest</a>`}
        ${
          data?.has_more === true &&
          html`<a class="button" href=${hrefOf(['keys'], { after: data.last_id })}>Older</a>`
        }
      </div>`,
    ],
  });
}

function columnsOf(revoke: Action<string>): Column<ApiKey>[] {
  return [
    { name: 'Name', cell: ({ name }) => h(Text, { value: name, oneLine: true }) },
    {
      name: 'State',
      cell: (key) => h(Status, { value: stateOf(key), label: LABELS[stateOf(key)] }),
    },
    { name: 'Id', cell: ({ id }) => html`<code>${id}</code>`, wide: true },
    { name: 'Tenant', cell: ({ tenant }) => tenant, wide: true },
    { name: 'Scopes', cell: ({ scopes }) => scopes.join(', ') },
    {
      name: 'Rows/s',
      cell: ({ rate_limit }) => (rate_limit === null ? '–' : amount(rate_limit.rows_per_s)),
      ...{ number: true, wide: true },
    },
    {
      name: 'Ends',
      cell: ({ expires_at }) => h(Time, { at: expires_at }),
      number: true,
      wide: true,
    },
    {
      name: 'Last used',
      cell: ({ last_used_at }) => h(Time, { at: last_used_at }),
      number: true,
      wide: true,
    },
    {
      name: 'Revoke',
      cell: (key) =>
        key.revoked_at === null &&
        h(ConfirmButton, {
          ...{ kind: 'danger', question: 'For ever?', label: `Revoke ${key.name}` },
          ...{ busy: revoke.running, onClick: () => revoke.run(key.id), children: 'Revoke' },
        }),
    },
  ];
}

type State = 'succeeded' | 'expired' | 'revoked';
const LABELS: Record<State, string> = { succeeded: 'good', expired: 'expired', revoked: 'revoked' };

function stateOf({ revoked_at, expires_at }: ApiKey): State {
  if (revoked_at !== null) return 'revoked';
  return expires_at !== null && expires_at * 1000 < Date.now() ? 'expired' : 'succeeded';
}
