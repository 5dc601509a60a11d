import { useState } from 'preact/hooks';
import { Button } from '../elements/button.ts';
import { InputField } from '../elements/field.ts';
import { ErrorNotice } from '../elements/notice.ts';
import { Panel } from '../elements/panel.ts';
import { goTo, hrefOf } from '../route.ts';
import { api } from '../session/session.ts';
import { useAction } from '../session/use-action.ts';
import { h, html } from '../ui.ts';

/** Sends an event that says nothing, to see whether it arrives. */
export function TestEvent() {
  const [url, setUrl] = useState('');
  const test = useAction<string>(async (given, signal) => {
    const { id } = await api().webhooks.test(given, { signal });
    goTo(hrefOf(['webhooks', id]));
  });
  const submit = (event: Event) => {
    event.preventDefault();
    if (url !== '') test.run(url);
  };
  return h(Panel, {
    title: 'Send a test event',
    children: html`<form class="form" onSubmit=${submit}>
      ${h(InputField, {
        ...{ label: 'URL', type: 'url', value: url, onInput: setUrl },
        placeholder: 'https://hooks.example/headrace',
      })}
      ${h(ErrorNotice, { error: test.error, what: 'It was not sent' })}
      <div class="row">${h(Button, { submit: true, busy: test.running, children: 'Send' })}</div>
    </form>`,
  });
}
