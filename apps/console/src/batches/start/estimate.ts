import { type Batch, isFinished } from '@headrace/client';
import { Notice } from '../../elements/notice.ts';
import { Facts } from '../../elements/panel.ts';
import { count, seconds } from '../../format.ts';
import { h, html } from '../../ui.ts';
import { BatchProblems } from '../batch-problems.ts';

/** What a check has found. */
export function Estimate({ batch }: { batch: Batch }) {
  if (!isFinished(batch)) {
    return html`<p role="status">Checking: ${batch.status.replaceAll('_', ' ')} …</p>`;
  }
  const { estimate, errors } = batch;
  if (errors !== null)
    return h(BatchProblems, { title: 'It cannot be scored like this', problems: errors.data });
  if (estimate === null)
    return h(Notice, { tone: 'warn', title: 'There is no row that can be run.' });
  const time =
    estimate.seconds === null
      ? 'no worker is ready'
      : `${seconds(estimate.seconds.low)} to ${seconds(estimate.seconds.high)}`;
  return html`<div role="status">
    ${h(Facts, {
      facts: [
        ['Rows', count(estimate.rows)],
        ['Rows that are not valid', count(estimate.invalid_rows)],
        ['Tokens, about', count(estimate.tokens)],
        ['Rows that are cut, about', count(estimate.truncated_rows)],
        ['Time, with nothing else to do', time],
      ],
    })}
  </div>`;
}
