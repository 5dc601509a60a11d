import { useState } from 'preact/hooks';
import { Button, ConfirmButton, CopyButton } from '../elements/button.ts';
import { CodeTabs } from '../elements/code.ts';
import { ErrorNotice, Notice } from '../elements/notice.ts';
import { Loading, Panel } from '../elements/panel.ts';
import { Time } from '../elements/time.ts';
import { api } from '../session/session.ts';
import { useAction } from '../session/use-action.ts';
import { useResource } from '../session/use-resource.ts';
import { h, html } from '../ui.ts';

/** What callbacks are signed with. */
export function Secrets() {
  const [shown, setShown] = useState<string | null>(null);
  const secrets = useResource({
    key: 'secrets',
    load: (signal) => api().webhooks.secrets({ signal, maxRetries: 0 }),
  });
  const rotate = useAction<null>(async (_, signal) => {
    const { secret } = await api().webhooks.rotateSecret({ signal });
    setShown(secret);
    secrets.reload();
  });
  const { data, error } = secrets;
  const none = data?.length === 0;
  return h(Panel, {
    title: 'Secrets',
    children: html`<div class="stack">
      ${h(ErrorNotice, { error, what: 'The secrets could not be read' })}
      ${data === null && error === null && h(Loading, { lines: 2 })}
      ${none && html`<p class="muted">None yet: callbacks are not signed before the first is made.</p>`}
      ${
        data !== null &&
        !none &&
        html`<ul class="rows">
          ${data.map(
            ({ id, created_at, expires_at }) => html`<li key=${id} class="row">
              <code>${id}</code>
              <span class="muted">
                made ${h(Time, { at: created_at })}${
                  expires_at !== null && html`, good until ${h(Time, { at: expires_at })}`
                }
              </span>
            </li>`,
          )}
        </ul>`
      }
      ${shown !== null && h(Shown, { secret: shown })}
      ${h(ErrorNotice, { error: rotate.error, what: 'No secret was made' })}
      ${
        data !== null &&
        html`<div class="row">
          ${
            none
              ? h(Button, {
                  busy: rotate.running,
                  onClick: () => rotate.run(null),
                  children: 'Make a secret',
                })
              : h(ConfirmButton, {
                  ...{ busy: rotate.running, onClick: () => rotate.run(null) },
                  question: 'Make a new one? The one before stays good for a day.',
                  children: 'Rotate',
                })
          }
        </div>`
      }
      <div class="stack tight">
        <h3>Verify a callback</h3>
        ${h(CodeTabs, { samples: VERIFY })}
      </div>
    </div>`,
  });
}

function Shown({ secret }: { secret: string }) {
  return h(Notice, {
    tone: 'ok',
    title: 'The new secret. It is not shown again.',
    children: html`<code class="secret">${secret}</code> ${h(CopyButton, { text: secret })}`,
  });
}

const VERIFY = {
  TypeScript: `import { verifyWebhook } from '@headrace/client';

// body: the text exactly as it came
const event = await verifyWebhook(body, request.headers, {
  secret: process.env.WEBHOOK_SECRET,
});
console.log(event.type, event.data);
`,
  Python: `from standardwebhooks import Webhook  # pip install standardwebhooks

event = Webhook(os.environ["WEBHOOK_SECRET"]).verify(body, headers)
print(event["type"], event["data"])
`,
};
