import { HeadraceError, type Job } from '@headrace/client';
import { useState } from 'preact/hooks';
import { Button, ConfirmButton, CopyButton } from '../elements/button.ts';
import { Json } from '../elements/code.ts';
import { ErrorNotice, Notice } from '../elements/notice.ts';
import { Facts, Loading, Page, Panel } from '../elements/panel.ts';
import { save } from '../elements/save.ts';
import { Status } from '../elements/status.ts';
import { Text } from '../elements/text.ts';
import { Time } from '../elements/time.ts';
import { Waterfall } from '../elements/waterfall.ts';
import { count, seconds } from '../format.ts';
import { goTo, hrefOf } from '../route.ts';
import { api } from '../session/session.ts';
import { useAction } from '../session/use-action.ts';
import { useResource } from '../session/use-resource.ts';
import { type Children, h, html } from '../ui.ts';
import { DeliveriesOf } from '../webhooks/deliveries-of.ts';
import { JobRows } from './job-rows.ts';
import { JobTimeline } from './job-timeline.ts';

/** Between two long polls. */
const AGAIN_MS = 200;
const WAIT_S = 20;

/** One job: what it came to, when, and what was told of it. Follows it until its end. */
export function JobPage({ id }: { id: string }) {
  const [seen, setSeen] = useState<string | null>(null);
  const job = useResource({
    key: id,
    load: async (signal) => {
      // At first as it is, then as soon as it changes.
      const waitS = seen === null ? 0 : WAIT_S;
      const read = await api().jobs.get(id, { waitS, signal, maxRetries: 0 });
      setSeen(read.status);
      return read;
    },
    everyMs: (read) => (isLive(read) ? AGAIN_MS : null),
  });
  const title = html`Job <span class="mono">${id}</span>`;
  if (job.data === null) {
    const gone = job.error instanceof HeadraceError && job.error.code === 'not_found';
    return h(Page, {
      title,
      children: gone
        ? h(Notice, {
            tone: 'warn',
            title: 'There is no such job any more.',
            children: 'It was removed, its time to be kept is over, or it is of another tenant.',
          })
        : job.error === null
          ? h(Loading, { lines: 8 })
          : h(ErrorNotice, { error: job.error, what: 'The job could not be read' }),
    });
  }
  return h(JobView, { job: job.data, error: job.error, reload: job.reload });
}

function isLive({ status }: Job): boolean {
  return status === 'queued' || status === 'running';
}

interface JobViewProps {
  job: Job;
  error: unknown;
  reload: () => void;
}

function JobView({ job, error, reload }: JobViewProps) {
  const [raw, setRaw] = useState(false);
  return h(Page, {
    title: html`Job <span class="mono">${job.id}</span>`,
    lead: html`<span role="status">${h(Status, { value: job.status })}</span>`,
    actions: h(JobActions, { job, reload }),
    children: [
      h(ErrorNotice, { error, what: 'The job could not be read anew' }),
      job.error !== null &&
        h(Notice, { tone: 'bad', title: job.error.message, children: job.error.code }),
      h(Panel, { title: 'What it is', children: h(Facts, { facts: factsOf(job) }) }),
      html`<div class="columns">
        ${h(Panel, { title: 'When', children: h(JobTimeline, { job }) })}
        ${h(Panel, {
          title: 'Where the time went',
          children:
            job.timings === null
              ? html`<p class="muted">Known when it has succeeded.</p>`
              : h(Waterfall, { timings: job.timings }),
        })}
      </div>`,
      job.output !== null && h(JobRows, { rows: job.output }),
      h(DeliveriesOf, { job: job.id }),
      h(Panel, {
        title: 'JSON',
        aside: html`<div class="row">
          <button type="button" class="button small" onClick=${() => saveJob(job)}>Save as a file</button>
          ${h(CopyButton, { text: () => JSON.stringify(job) })}
        </div>`,
        children: raw
          ? h(Json, { value: job })
          : h(Button, { onClick: () => setRaw(true), children: 'Show as JSON' }),
      }),
    ],
  });
}

function saveJob(job: Job): void {
  save(new Blob([JSON.stringify(job)], { type: 'application/json' }), `${job.id}.json`);
}

function JobActions({ job, reload }: { job: Job; reload: () => void }) {
  const cancel = useAction<null>(async (_, signal) => {
    await api().jobs.cancel(job.id, { signal });
    reload();
  });
  const retry = useAction<null>(async (_, signal) => {
    const { id } = await api().jobs.retry(job.id, { signal });
    goTo(hrefOf(['jobs', id]));
  });
  const mayRetry = ['failed', 'canceled', 'expired'].includes(job.status);
  return html`${
    isLive(job) &&
    h(ConfirmButton, {
      kind: 'danger',
      question: 'Cancel this job?',
      onClick: () => cancel.run(null),
      busy: cancel.running,
      children: 'Cancel',
    })
  }
  ${mayRetry && h(Button, { onClick: () => retry.run(null), busy: retry.running, children: 'Retry' })}
  ${h(ErrorNotice, { error: cancel.error, what: 'It was not cancelled' })}
  ${h(ErrorNotice, { error: retry.error, what: 'It was not retried' })}`;
}

function factsOf(job: Job): Parameters<typeof Facts>[0]['facts'] {
  const metadata = Object.entries(job.metadata);
  return [
    ['Model', job.variant === null ? job.model : `${job.model} (${job.variant})`],
    ['Task', job.task],
    ['Priority', job.priority],
    ['Rows', count(job.usage?.rows)],
    ['Rows that failed', count(job.usage?.failed_rows)],
    ['Tokens', count(job.usage?.tokens)],
    ['Attempts', count(job.attempts)],
    ...(job.position === null ? [] : [position(job.position)]),
    ...(job.eta_s === null ? [] : [eta(job.eta_s)]),
    ...(job.retry_of === null ? [] : [retried(job.retry_of)]),
    ['Kept until', h(Time, { at: job.expires_at })],
    ...metadata.map(([name, value]): [string, Children] => [name, h(Text, { value, most: 200 })]),
  ];
}

const position = (rows: number): [string, string] => ['Rows ahead', count(rows)];
const eta = (s: number): [string, string] => ['Expected wait', seconds(s)];
const retried = (id: string): [string, Children] => [
  'Retry of',
  html`<a class="mono" href=${hrefOf(['jobs', id])}>${id}</a>`,
];
