import type { RowOutput } from '@headrace/client';
import { Bars } from '../elements/bars.ts';
import { Notice } from '../elements/notice.ts';
import { amount, count } from '../format.ts';
import { h, html } from '../ui.ts';

const SHOWN_LABELS = 20;
const SHOWN_NUMBERS = 12;

/** What one row came to: labels as bars, a vector by its norm and its first numbers. */
export function RowAnswer({ row, raw = false }: { row: RowOutput; raw?: boolean }) {
  if (row.error !== undefined) {
    return h(Notice, { tone: 'bad', title: row.error.message, children: row.error.code });
  }
  if (row.labels !== undefined) return h(Labels, { labels: row.labels, raw });
  if (row.embedding !== undefined) return h(Vector, { embedding: row.embedding });
  return html`<p class="muted">No answer.</p>`;
}

type Labels = NonNullable<RowOutput['labels']>;

function Labels({ labels, raw }: { labels: Labels; raw: boolean }) {
  const shown = labels.slice(0, SHOWN_LABELS);
  const most = Math.max(...shown.map(({ score }) => Math.abs(score)), Number.EPSILON);
  const bars = shown.map(({ label, score }) =>
    raw
      ? { label, share: Math.abs(score) / most, value: score.toFixed(3) }
      : { label, share: score },
  );
  return html`${h(Bars, { label: 'Labels', bars })}
    ${
      labels.length > shown.length &&
      html`<p class="muted">and ${count(labels.length - shown.length)} more</p>`
    }`;
}

function Vector({ embedding }: { embedding: number[] | string }) {
  const numbers = typeof embedding === 'string' ? vectorOf(embedding) : embedding;
  const norm = Math.round(Math.hypot(...numbers) * 1e4) / 1e4;
  const most = Math.max(...numbers.map(Math.abs), Number.EPSILON);
  return html`<div class="stack tight">
    <p><strong>${count(numbers.length)}</strong> dimensions, norm <strong>${amount(norm)}</strong></p>
    ${h(Bars, {
      label: 'The first numbers of the vector',
      bars: numbers.slice(0, SHOWN_NUMBERS).map((value, i) => ({
        label: `${i}`,
        share: Math.abs(value) / most,
        value: value.toFixed(4),
      })),
    })}
  </div>`;
}

/** @param base64 of little-endian float32 */
function vectorOf(base64: string): number[] {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
