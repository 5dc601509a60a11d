import type { KeyRequest, NewApiKey, Scope } from '@headrace/client';
import { useState } from 'preact/hooks';
import { Button } from '../elements/button.ts';
import { CheckField, InputField, SelectField } from '../elements/field.ts';
import { ErrorNotice, Notice } from '../elements/notice.ts';
import { Panel } from '../elements/panel.ts';
import { api } from '../session/session.ts';
import { useAction } from '../session/use-action.ts';
import { h, html } from '../ui.ts';

const SCOPES: Scope[] = ['jobs', 'batches', 'webhooks', 'admin'];
const LIVES = [
  { value: '', label: 'until it is revoked' },
  { value: '1', label: 'for a day' },
  { value: '30', label: 'for 30 days' },
  { value: '365', label: 'for a year' },
];
const DAY_S = 86_400;

interface Asked {
  name: string;
  tenant: string;
  scopes: Scope[];
  rowsPerS: string;
  days: string;
}

const NOTHING: Asked = {
  name: '',
  tenant: 'default',
  scopes: ['jobs', 'batches'],
  rowsPerS: '',
  days: '',
};

interface NewKeyFormProps {
  /** From the first key on, every request needs one. */
  isFirst: boolean;
  onMade: (key: NewApiKey) => void;
}

export function NewKeyForm({ isFirst, onMade }: NewKeyFormProps) {
  const start = isFirst ? { ...NOTHING, scopes: SCOPES } : NOTHING;
  const [asked, setAsked] = useState<Asked>(start);
  const change = (part: Partial<Asked>) => setAsked({ ...asked, ...part });
  const create = useAction<Asked>(async (given, signal) => {
    onMade(await api().keys.create(requestOf(given), { signal }));
    setAsked(NOTHING);
  });
  const submit = (event: Event) => {
    event.preventDefault();
    if (asked.name !== '' && asked.scopes.length > 0) create.run(asked);
  };
  return h(Panel, {
    title: 'Make a key',
    children: html`<form class="form" onSubmit=${submit}>
      ${
        isFirst &&
        h(Notice, {
          tone: 'warn',
          title: 'This is the first key: from then on every request needs one.',
          children:
            'Give it the scope admin, or nobody can make another; this tab will need it too.',
        })
      }
      <div class="fields">
        ${h(InputField, {
          ...{ label: 'Name', value: asked.name, onInput: (name: string) => change({ name }) },
          placeholder: 'what it is for',
        })}
        ${h(InputField, {
          ...{
            label: 'Tenant',
            value: asked.tenant,
            onInput: (tenant: string) => change({ tenant }),
          },
        })}
        ${h(InputField, {
          ...{ label: 'Rows per second', type: 'number', value: asked.rowsPerS },
          placeholder: 'as configured',
          onInput: (rowsPerS) => change({ rowsPerS }),
        })}
        ${h(SelectField, {
          ...{
            label: 'Good',
            value: asked.days,
            options: LIVES,
            onChange: (days: string) => change({ days }),
          },
        })}
      </div>
      <fieldset class="row scopes">
        <legend class="label">Scopes</legend>
        ${SCOPES.map((scope) =>
          h(CheckField, {
            key: scope,
            label: scope,
            checked: asked.scopes.includes(scope),
            onChange: (checked) =>
              change({
                scopes: SCOPES.filter((s) => (s === scope ? checked : asked.scopes.includes(s))),
              }),
          }),
        )}
      </fieldset>
      ${h(ErrorNotice, { error: create.error, what: 'No key was made' })}
      <div class="row">
        ${h(Button, {
          ...{ kind: 'primary', submit: true, busy: create.running },
          disabled: asked.name === '' || asked.scopes.length === 0,
          children: 'Make the key',
        })}
      </div>
    </form>`,
  });
}

function requestOf({ name, tenant, scopes, rowsPerS, days }: Asked): KeyRequest {
  const rate = Number(rowsPerS);
  return {
    ...{ name, tenant, scopes },
    ...(rowsPerS === ''
      ? {}
      : { rate_limit: { rows_per_s: rate, burst_rows: Math.max(1, 10 * rate) } }),
    ...(days === '' ? {} : { expires_at: Math.floor(Date.now() / 1000) + Number(days) * DAY_S }),
  };
}
