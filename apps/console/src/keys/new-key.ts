import type { NewApiKey } from '@headrace/client';
import { Button, CopyButton } from '../elements/button.ts';
import { Notice } from '../elements/notice.ts';
import { signIn } from '../session/session.ts';
import { h, html } from '../ui.ts';

/** The one time that a key is shown. */
export function NewKey({ made, onDone }: { made: NewApiKey; onDone: () => void }) {
  const use = () => {
    signIn(made.secret);
    onDone();
  };
  return h(Notice, {
    tone: 'ok',
    title: 'The new key. It is not shown again.',
    children: html`<div class="stack tight">
      <code class="secret">${made.secret}</code>
      <div class="row">
        ${h(CopyButton, { text: made.secret, what: 'Copy the key' })}
        ${h(Button, { onClick: use, children: 'Use it in this tab' })}
        ${h(Button, { onClick: onDone, children: 'I have it' })}
      </div>
    </div>`,
  });
}
