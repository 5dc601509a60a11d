import { type Batch, HeadraceError, isFinished } from '@headrace/client';
import { Bars, Histogram } from '../../elements/bars.ts';
import { ErrorNotice } from '../../elements/notice.ts';
import { Panel } from '../../elements/panel.ts';
import { count, percent } from '../../format.ts';
import { h, html } from '../../ui.ts';
import { MOST_ROWS, useTally } from './use-tally.ts';

const SHOWN_LABELS = 12;

/** What the answers look like, of the rows that are done so far. */
export function RowsSoFar({ batch }: { batch: Batch }) {
  const { tally, error } = useTally(batch);
  // The rows of a table are in its file alone, once the batch is over.
  if (error instanceof HeadraceError && error.code === 'invalid_request') return null;
  const scored = tally === null ? 0 : tally.rows - tally.failed - tally.vectors;
  const of =
    tally === null ? '' : `${tally.rows >= MOST_ROWS ? 'the first ' : ''}${count(tally.rows)} rows`;
  const aside = isFinished(batch) || tally === null ? of : `${of} so far`;
  if (tally !== null && tally.vectors > 0) {
    return h(Panel, {
      title: 'Answers',
      aside,
      children: html`<p>${count(tally.vectors)} vectors, ${count(tally.failed)} rows without one.</p>`,
    });
  }
  const labels = tally?.labels ?? [];
  return html`<div class="columns">
    ${h(Panel, {
      title: 'Labels',
      aside,
      children: html`<div class="figure-box">
        ${h(ErrorNotice, { error, what: 'The rows could not be read' })}
        ${
          labels.length === 0
            ? html`<p class="muted">No row is done yet.</p>`
            : h(Bars, {
                label: 'How often each label was the best',
                bars: labels.slice(0, SHOWN_LABELS).map((each) => ({
                  label: each.label,
                  share: each.count / scored,
                  value: `${count(each.count)} · ${percent(each.count / scored)}`,
                })),
              })
        }
        ${
          labels.length > SHOWN_LABELS &&
          html`<p class="muted">and ${count(labels.length - SHOWN_LABELS)} more</p>`
        }
      </div>`,
    })}
    ${h(Panel, {
      title: 'Scores',
      aside,
      children: html`<div class="figure-box">
        ${h(Histogram, { label: 'score of the best label', counts: tally?.scores ?? Array(20).fill(0) })}
      </div>`,
    })}
  </div>`;
}
