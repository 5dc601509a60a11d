import { useEffect, useState } from 'preact/hooks';
import { type Children, h, html } from '../ui.ts';

interface ButtonProps {
  children: Children;
  onClick?: () => void;
  kind?: 'primary' | 'plain' | 'danger';
  busy?: boolean;
  disabled?: boolean;
  submit?: boolean;
  label?: string;
}

/** A button that keeps its place and its focus while it is busy. */
export function Button(props: ButtonProps) {
  const { children, onClick, kind = 'plain', busy = false, disabled = false } = props;
  return html`<button
    type=${props.submit ? 'submit' : 'button'}
    class=${`button ${kind}`}
    aria-disabled=${busy || disabled ? 'true' : null}
    aria-label=${props.label}
    aria-busy=${busy ? 'true' : null}
    onClick=${(event: Event) => {
      if (busy || disabled) event.preventDefault();
      else onClick?.();
    }}
  >
    ${children}
  </button>`;
}

interface ConfirmProps extends ButtonProps {
  /** What will happen. */
  question: string;
}

/** Asks once more, in its own place. */
export function ConfirmButton({ question, onClick, children, ...rest }: ConfirmProps) {
  const [asking, setAsking] = useState(false);
  if (!asking) return h(Button, { ...rest, children, onClick: () => setAsking(true) });
  const yes = () => {
    setAsking(false);
    onClick?.();
  };
  return html`<span class="confirm" role="group" aria-label=${question}>
    <span>${question}</span>
    ${h(Button, { kind: 'danger', onClick: yes, children: 'Yes' })}
    ${h(Button, { onClick: () => setAsking(false), children: 'No' })}
  </span>`;
}

interface CopyProps {
  /** A function where making it takes time. */
  text: string | (() => string);
  what?: string;
}

/** Copies, and says so for a moment. */
export function CopyButton({ text, what = 'Copy' }: CopyProps) {
  const [done, setDone] = useState<'yes' | 'no' | null>(null);
  useEffect(() => {
    if (done === null) return;
    const timer = setTimeout(() => setDone(null), 2_000);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = () => {
    // Missing in pages that came over plain HTTP.
    const whole = typeof text === 'string' ? text : text();
    const written =
      navigator.clipboard?.writeText(whole) ?? Promise.reject(new Error('no clipboard'));
    written.then(
      () => setDone('yes'),
      () => setDone('no'),
    );
  };
  const label = done === null ? what : done === 'yes' ? 'Copied' : 'Select it and copy';
  return html`<button type="button" class="button small" onClick=${copy}>
    <span aria-live="polite">${label}</span>
  </button>`;
}
