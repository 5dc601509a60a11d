import { type Batch, HeadraceError, isFinished } from '@headrace/client';
import { Button, ConfirmButton } from '../elements/button.ts';
import { ErrorNotice, Notice } from '../elements/notice.ts';
import { Facts, Loading, Page, Panel } from '../elements/panel.ts';
import { Text } from '../elements/text.ts';
import { Time } from '../elements/time.ts';
import { amount, count, NOTHING, percent, seconds } from '../format.ts';
import { goTo, hrefOf } from '../route.ts';
import { api } from '../session/session.ts';
import { type Action, useAction } from '../session/use-action.ts';
import { useResource } from '../session/use-resource.ts';
import { type Children, h, html } from '../ui.ts';
import { DeliveriesOf } from '../webhooks/deliveries-of.ts';
import { BatchProblems } from './batch-problems.ts';
import { BatchProgress } from './batch-progress.ts';
import { BatchStatus } from './batches-page.ts';
import { Downloads } from './results/downloads.ts';
import { ErrorRows } from './results/error-rows.ts';
import { RowsSoFar } from './results/rows-so-far.ts';
import { Estimate } from './start/estimate.ts';

const REFRESH_MS = 1_000;

/** One batch: how far it is, what its answers look like, and what can be done with it. */
export function BatchPage({ id }: { id: string }) {
  const batch = useResource({
    key: id,
    load: (signal) => api().batches.get(id, { signal, maxRetries: 0 }),
    everyMs: (read) => (isFinished(read) ? null : REFRESH_MS),
  });
  const gone = batch.error instanceof HeadraceError && batch.error.code === 'not_found';
  const title = html`Batch <span class="mono">${id}</span>`;
  if (gone) {
    return h(Page, {
      title,
      children: h(Notice, {
        tone: 'warn',
        title: 'There is no such batch any more.',
        children: html`It was deleted, its time to be kept is over, or it is of another tenant.
          <a href=${hrefOf(['batches'])}>All batches</a>`,
      }),
    });
  }
  if (batch.data === null) {
    const children =
      batch.error === null
        ? h(Loading, { lines: 8 })
        : h(ErrorNotice, { error: batch.error, what: 'The batch could not be read' });
    return h(Page, { title, children });
  }
  return h(BatchView, { batch: batch.data, error: batch.error, reload: batch.reload });
}

interface BatchViewProps {
  batch: Batch;
  error: unknown;
  reload: () => void;
}

function BatchView({ batch, error, reload }: BatchViewProps) {
  const { errors, waiting_for, dry_run } = batch;
  return h(Page, {
    title: html`Batch <span class="mono">${batch.id}</span>`,
    lead: html`<span role="status">${h(BatchStatus, { batch })}</span>`,
    actions: h(BatchActions, { batch, reload }),
    children: [
      h(ErrorNotice, { error, what: 'The batch could not be read anew' }),
      errors !== null && h(BatchProblems, { title: 'The batch failed', problems: errors.data }),
      waiting_for !== null &&
        h(Notice, {
          tone: 'warn',
          title: 'It does not go on at the moment.',
          children: waiting_for,
        }),
      dry_run
        ? h(Panel, { title: 'What the check has found', children: h(Estimate, { batch }) })
        : h(Progress, { batch }),
      !dry_run && h(RowsSoFar, { batch }),
      !dry_run && h(ErrorRows, { batch }),
      !dry_run && h(Downloads, { batch }),
      h(Panel, { title: 'What it is', children: h(Facts, { facts: factsOf(batch) }) }),
      h(DeliveriesOf, { batch: batch.id }),
    ],
  });
}

function Progress({ batch }: { batch: Batch }) {
  const { total, completed, failed } = batch.request_counts;
  const done = completed + failed;
  const finished = isFinished(batch);
  return h(Panel, {
    title: 'Progress',
    children: html`<div class="stack">
      ${h(BatchProgress, { batch, big: true })}
      ${h(Facts, {
        facts: [
          [
            'Rows done',
            total === 0 ? NOTHING : `${count(done)} of ${count(total)} (${percent(done / total)})`,
          ],
          ['Failed', count(failed)],
          ['Rows per second', amount(batch.progress.rows_per_s)],
          finished
            ? ['Took', took(batch)]
            : ['Left', batch.paused ? 'paused' : seconds(batch.progress.eta_s)],
          ['Tokens', count(batch.usage.input_tokens)],
        ],
      })}
    </div>`,
  });
}

function took(batch: Batch): string {
  const end = batch.completed_at ?? batch.failed_at ?? batch.cancelled_at ?? batch.expired_at;
  // Both are whole seconds.
  return end === batch.created_at ? 'under 1 s' : seconds(end && end - batch.created_at);
}

interface BatchActionsProps {
  batch: Batch;
  reload: () => void;
}

function BatchActions({ batch, reload }: BatchActionsProps) {
  const steer = (act: (id: string, call: { signal: AbortSignal }) => Promise<unknown>) =>
    useAction<null>(async (_, signal) => {
      await act(batch.id, { signal });
      reload();
    });
  const pause = steer((id, call) => api().batches.pause(id, call));
  const resume = steer((id, call) => api().batches.resume(id, call));
  const cancel = steer((id, call) => api().batches.cancel(id, call));
  const retry = useAction<null>(async (_, signal) => {
    const { id } = await api().batches.retry(batch.id, { signal });
    goTo(hrefOf(['batches', id]));
  });
  const live = !isFinished(batch) && batch.status !== 'cancelling';
  const mayPause = live && batch.status !== 'finalizing';
  const mayRetry = isFinished(batch) && !batch.dry_run && batch.request_counts.failed > 0;
  const button = (action: Action<null>, children: Children) =>
    h(Button, { onClick: () => action.run(null), busy: action.running, children });
  return html`${mayPause && (batch.paused ? button(resume, 'Resume') : button(pause, 'Pause'))}
    ${
      live &&
      h(ConfirmButton, {
        kind: 'danger',
        question: 'Cancel it? What is done stays.',
        onClick: () => cancel.run(null),
        busy: cancel.running,
        children: 'Cancel',
      })
    }
    ${mayRetry && button(retry, 'Retry failed rows')}
    <a class="button" href=${hrefOf(['batches'])}>All batches</a>
    ${[pause, resume, cancel, retry].map(({ error }, i) =>
      h(ErrorNotice, { key: i, error, what: 'It was not done' }),
    )}`;
}

function factsOf(batch: Batch): [string, Children][] {
  const { documents, output, retry_of, input_url } = batch;
  const column = (value: string) => h(Text, { value, most: 200 });
  const facts: [string, Children | null][] = [
    ['Model', batch.model],
    ['Input', input_url === null ? null : column(input_url)],
    ['Format', documents?.format],
    [
      'Text column',
      documents && documents.format !== 'text' ? column(documents.text ?? 'text') : null,
    ],
    ['Second text', documents?.text_pair ? column(documents.text_pair) : null],
    ['Id column', documents?.id ? column(documents.id) : null],
    ['Answers as', output && `${output.format}${output.join ? ", beside the file's columns" : ''}`],
    ['Priority', batch.priority],
    ['Created', h(Time, { at: batch.created_at })],
    ['Must end', isFinished(batch) ? null : h(Time, { at: batch.expires_at })],
    [
      'Retry of',
      retry_of && html`<a class="mono" href=${hrefOf(['batches', retry_of])}>${retry_of}</a>`,
    ],
  ];
  return facts.filter(([, value]) => value != null);
}
