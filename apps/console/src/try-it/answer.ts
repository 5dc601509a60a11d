import type { Job, JobRequest, Model } from '@headrace/client';
import { ErrorNotice, Notice } from '../elements/notice.ts';
import { Facts, Panel } from '../elements/panel.ts';
import { Waterfall } from '../elements/waterfall.ts';
import { amount, count } from '../format.ts';
import { RowAnswer } from '../jobs/row-answer.ts';
import { hrefOf } from '../route.ts';
import { h, html } from '../ui.ts';
import { CutText } from './cut-text.ts';

interface AnswerProps {
  job: Job;
  model: Model;
  /** What was sent. */
  request: JobRequest;
}

/** What one row came to. */
export function Answer({ job, model, request }: AnswerProps) {
  const [row] = job.output ?? [];
  const link = html`<a href=${hrefOf(['jobs', job.id])}>${job.id}</a>`;
  return html`<div class="stack">
    ${h(Panel, {
      title: 'Answer',
      aside: link,
      children: [
        job.error !== null &&
          h(Notice, { tone: 'bad', title: job.error.message, children: job.error.code }),
        row !== undefined && h(RowAnswer, { row, raw: request.parameters?.raw_scores === true }),
      ],
    })}
    ${
      row !== undefined &&
      h(Panel, {
        title: 'Tokens',
        children: html`<div class="stack tight">
          ${h(Facts, {
            facts: [
              ['Tokens', `${count(row.tokens)} of ${count(model.max_tokens)}`],
              ['Truncated', row.truncated ? 'yes' : 'no'],
              ['Rows in its tensor batch', amount(job.timings?.batch_rows)],
              ['Variant', job.variant ?? '–'],
            ],
          })}
          ${
            // Of a pair, each text is cut by how long the other one is.
            row.truncated &&
            typeof request.input === 'string' &&
            h(CutText, { model, text: request.input, tokens: row.tokens, key: job.id })
          }
        </div>`,
      })
    }
    ${
      job.timings !== null &&
      h(Panel, { title: 'Where the time went', children: h(Waterfall, { timings: job.timings }) })
    }
    ${job.timings === null && job.error === null && h(ErrorNotice, { error: null })}
  </div>`;
}
