import type { Job, JobStatus } from '@headrace/client';
import { Button } from '../elements/button.ts';
import { SelectField } from '../elements/field.ts';
import { ErrorNotice } from '../elements/notice.ts';
import { Empty, Loading, Page, Panel } from '../elements/panel.ts';
import { Status } from '../elements/status.ts';
import { type Column, Table } from '../elements/table.ts';
import { Time } from '../elements/time.ts';
import { count, duration } from '../format.ts';
import { goTo, hrefOf, type Route } from '../route.ts';
import { api } from '../session/session.ts';
import { useResource } from '../session/use-resource.ts';
import { h, html } from '../ui.ts';
import { JobPage } from './job-page.ts';

const STATUSES: JobStatus[] = ['queued', 'running', 'succeeded', 'failed', 'canceled', 'expired'];
const PAGE = 50;
const REFRESH_MS = 3_000;
/** Where few jobs fit, the API has looked at thousands for them. */
const RARE_REFRESH_MS = 15_000;

export function JobsPage({ route }: { route: Route }) {
  const [, id] = route.parts;
  return id === undefined ? h(JobList, { route }) : h(JobPage, { id });
}

/** Jobs of the tenant, newest first; what is chosen stands in the address. */
function JobList({ route }: { route: Route }) {
  const status = STATUSES.find((known) => known === route.query.get('status'));
  const model = route.query.get('model') ?? undefined;
  const after = route.query.get('after') ?? undefined;
  const jobs = useResource({
    key: JSON.stringify([status, model, after]),
    load: (signal) => api().jobs.list({ status, model, after, limit: PAGE, signal, maxRetries: 0 }),
    // Older pages change little, and would move under whoever reads them.
    everyMs: (page) => {
      if (after !== undefined) return null;
      return page.has_more && page.data.length < PAGE ? RARE_REFRESH_MS : REFRESH_MS;
    },
  });
  const models = useResource({
    key: 'models',
    load: (signal) => api().models.list({ signal, maxRetries: 0 }),
  });
  const go = (change: { status?: string | undefined; model?: string | undefined }) =>
    goTo(hrefOf(['jobs'], { status, model, ...change }));
  const filters = html`<div class="fields">
    ${h(SelectField, {
      label: 'Status',
      value: status ?? '',
      options: [{ value: '', label: 'Any' }, ...STATUSES.map((s) => ({ value: s, label: s }))],
      onChange: (value) => go({ status: value }),
    })}
    ${h(SelectField, {
      label: 'Model',
      value: model ?? '',
      options: [
        { value: '', label: 'Any' },
        ...(models.data ?? []).map(({ id }) => ({ value: id, label: id })),
      ],
      onChange: (value) => go({ model: value }),
    })}
  </div>`;
  const { data } = jobs;
  const last = data?.last_id;
  const isEmpty = data !== null && data.data.length === 0;
  return h(Page, {
    title: 'Jobs',
    lead: 'One text each, or a few. Finished ones are kept for a day, unless configured otherwise.',
    children: [
      filters,
      h(ErrorNotice, { error: jobs.error, what: 'The jobs could not be read' }),
      h(Panel, {
        class: 'flush',
        children:
          data === null
            ? jobs.error === null && h(Loading, { lines: 10 })
            : isEmpty
              ? h(Empty, { title: emptyTitle(data.has_more, status ?? model) })
              : h(Table<Job>, {
                  label: 'Jobs',
                  columns: COLUMNS,
                  rows: data.data,
                  keyOf: (job) => job.id,
                }),
      }),
      html`<div class="row end">
        ${
          after !== undefined &&
          html`<a class="button" href=${hrefOf(['jobs'], { status, model })}>Newest</a>`
        }
        ${
          data?.has_more === true &&
          last != null &&
          h(Button, {
            onClick: () => goTo(hrefOf(['jobs'], { status, model, after: last })),
            children: 'Older',
          })
        }
      </div>`,
    ],
  });
}

function emptyTitle(hasMore: boolean, filter: string | undefined): string {
  if (hasMore) return 'None among the jobs that were looked at. Go on with the older ones.';
  return filter === undefined ? 'There are no jobs yet.' : 'No job fits.';
}

const COLUMNS: Column<Job>[] = [
  { name: 'Status', cell: ({ status }) => h(Status, { value: status }) },
  {
    name: 'Job',
    cell: ({ id }) => html`<a class="mono" href=${hrefOf(['jobs', id])}>${id}</a>`,
  },
  { name: 'Model', cell: ({ model }) => model, wide: true },
  { name: 'Rows', cell: ({ usage }) => count(usage?.rows), number: true, wide: true },
  { name: 'Attempts', cell: ({ attempts }) => count(attempts), number: true, wide: true },
  { name: 'Took', cell: ({ timings }) => duration(timings?.total_ms), number: true },
  { name: 'Submitted', cell: ({ created_at }) => h(Time, { at: created_at }), number: true },
];
