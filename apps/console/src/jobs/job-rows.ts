import type { RowOutput } from '@headrace/client';
import { useState } from 'preact/hooks';
import { Button } from '../elements/button.ts';
import { Panel } from '../elements/panel.ts';
import { count } from '../format.ts';
import { h, html } from '../ui.ts';
import { RowAnswer } from './row-answer.ts';

const A_STEP = 20;

/** The answers of a job's rows, some at a time: there may be thousands, and megabytes of them. */
export function JobRows({ rows }: { rows: RowOutput[] }) {
  const [shown, setShown] = useState(A_STEP);
  const visible = rows.slice(0, shown);
  return h(Panel, {
    title: rows.length === 1 ? 'Answer' : 'Answers',
    aside: rows.length === 1 ? null : `${count(visible.length)} of ${count(rows.length)} rows`,
    children: html`<ol class="rows">
        ${visible.map(
          (row, i) => html`<li key=${i}>
            <div class="row-head muted small-text">
              ${rows.length > 1 && html`<span>Row ${count(i + 1)}</span>`}
              <span>${count(row.tokens)} tokens${row.truncated ? ', truncated' : ''}</span>
            </div>
            ${h(RowAnswer, { row })}
          </li>`,
        )}
      </ol>
      ${
        shown < rows.length &&
        h(Button, { onClick: () => setShown(shown + 5 * A_STEP), children: 'Show more rows' })
      }`,
  });
}
