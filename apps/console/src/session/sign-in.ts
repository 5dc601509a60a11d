import { createClient, HeadraceError } from '@headrace/client';
import { useState } from 'preact/hooks';
import { Button } from '../elements/button.ts';
import { InputField } from '../elements/field.ts';
import { ErrorNotice } from '../elements/notice.ts';
import { h, html } from '../ui.ts';
import { type SignedOut, signIn } from './session.ts';
import { useAction } from './use-action.ts';

const REASONS: Record<SignedOut, string> = {
  needed: 'This Headrace asks for an API key.',
  refused: 'The API key is not good any more: it has expired, or it was revoked.',
  left: 'You have signed out.',
};

const NO_KEY = 'This key is not one, or it is not good any more.';

/** Asks for a key, and tries it before it is kept. What was open comes back afterwards. */
export function SignIn({ why }: { why: SignedOut }) {
  const [key, setKey] = useState('');
  const action = useAction<string>(async (given, signal) => {
    // No request could carry it.
    if (/[^\x21-\x7e]/.test(given)) throw new Error(NO_KEY);
    const client = createClient({ baseUrl: location.origin, apiKey: given });
    try {
      await client.models.list({ signal, maxRetries: 1 });
    } catch (error) {
      if (error instanceof HeadraceError && error.code === 'unauthorized') {
        throw new Error(NO_KEY);
      }
      throw error;
    }
    signIn(given);
  });
  const submit = (event: Event) => {
    event.preventDefault();
    if (key.trim() !== '') action.run(key.trim());
  };
  return html`<div class="sign-in">
    <h1 tabindex="-1">Signed out</h1>
    <p role="status">${REASONS[why]}</p>
    <form onSubmit=${submit}>
      ${h(InputField, {
        label: 'API key',
        value: key,
        onInput: setKey,
        type: 'password',
        placeholder: 'hr_…',
        hint: 'It is kept for this tab, until you close it, and goes to this server only.',
      })}
      ${h(ErrorNotice, { error: action.error })}
      ${h(Button, { kind: 'primary', submit: true, busy: action.running, children: 'Sign in' })}
    </form>
  </div>`;
}
