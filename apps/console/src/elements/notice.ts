import { ConnectionError, HeadraceError } from '@headrace/client';
import { type Children, html } from '../ui.ts';

type Tone = 'info' | 'warn' | 'bad' | 'ok';

interface NoticeProps {
  tone?: Tone;
  title?: string;
  children?: Children;
}

/** Something to know; a failure is said aloud at once, all else when there is time. */
export function Notice({ tone = 'info', title, children }: NoticeProps) {
  return html`<div class=${`notice ${tone}`} role=${tone === 'bad' ? 'alert' : 'status'}>
    ${title && html`<strong>${title}</strong>`}
    ${children && html`<div>${children}</div>`}
  </div>`;
}

/** Why something was not done, in words that help. */
export function ErrorNotice({ error, what }: { error: unknown; what?: string }) {
  if (error == null) return null;
  const { title, detail } = explain(error);
  return html`<div class="notice bad" role="alert">
    <strong>${what ? `${what}: ${lowered(title)}` : title}</strong>
    ${detail && html`<div class="muted">${detail}</div>`}
  </div>`;
}

function explain(error: unknown): { title: string; detail: string | null } {
  if (error instanceof HeadraceError) {
    if (error.code === 'forbidden') {
      return { title: error.message, detail: 'Sign in with a key that has it.' };
    }
    const detail = [error.code, error.requestId && `request ${error.requestId}`];
    return { title: error.message, detail: detail.filter(Boolean).join(' · ') };
  }
  if (error instanceof ConnectionError) {
    return { title: 'The API does not answer.', detail: 'It is tried again.' };
  }
  return { title: error instanceof Error ? error.message : String(error), detail: null };
}

function lowered(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? (text[0] ?? '').toLowerCase() + text.slice(1) : text;
}
