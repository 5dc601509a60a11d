import { html } from '../ui.ts';

const TONES: Record<string, string> = {
  queued: 'idle',
  pending: 'idle',
  validating: 'busy',
  running: 'busy',
  in_progress: 'busy',
  finalizing: 'busy',
  cancelling: 'busy',
  succeeded: 'ok',
  completed: 'ok',
  delivered: 'ok',
  failed: 'bad',
  disabled: 'bad',
  expired: 'warn',
  paused: 'warn',
  canceled: 'off',
  cancelled: 'off',
  revoked: 'off',
};

/** A state in one word, with a shape as well as a colour. */
export function Status({ value, label }: { value: string; label?: string }) {
  const word = label ?? value.replaceAll('_', ' ');
  return html`<span class=${`status ${TONES[value] ?? 'idle'}`}>${word}</span>`;
}
