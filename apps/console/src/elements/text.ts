import { useState } from 'preact/hooks';
import { count } from '../format.ts';
import { html } from '../ui.ts';

const SHOWN_CHARACTERS = 2_000;

const NAME_CHARACTERS = 60;

/**
 * A name of somebody's file or column: short, and without characters that cannot be seen, since
 * some of them turn what follows around.
 */
export function shownName(name: string): string {
  const seen = name.replace(/\p{C}/gu, '');
  if (seen.length <= NAME_CHARACTERS) return seen;
  return `${seen.slice(0, NAME_CHARACTERS).toWellFormed()}…`;
}

interface TextProps {
  value: string;
  /** In a cell of a table: one line, cut where it ends. */
  oneLine?: boolean;
  most?: number;
}

/**
 * Text of a user: shown as it is, isolated from what is around it, in its own direction. Of a very
 * long one, the beginning; the rest on demand.
 */
export function Text({ value, oneLine = false, most = SHOWN_CHARACTERS }: TextProps) {
  const [whole, setWhole] = useState(false);
  const cut = !whole && value.length > most;
  const shown = cut ? value.slice(0, most).toWellFormed() : value;
  if (oneLine) {
    return html`<bdi class="text line" dir="auto" title=${value.slice(0, 500)}>${shown.slice(0, 300)}</bdi>`;
  }
  return html`<span class="text-box">
    <bdi class="text" dir="auto">${shown}${cut ? '…' : ''}</bdi>
    ${
      cut &&
      html`<button type="button" class="link" onClick=${() => setWhole(true)}>
        Show all ${count(value.length)} characters
      </button>`
    }
  </span>`;
}
