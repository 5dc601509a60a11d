import { type Batch, isFinished } from '@headrace/client';
import { ErrorNotice } from '../elements/notice.ts';
import { Empty, Loading, Page, Panel } from '../elements/panel.ts';
import { Status } from '../elements/status.ts';
import { type Column, Table } from '../elements/table.ts';
import { Time } from '../elements/time.ts';
import { amount, count, seconds } from '../format.ts';
import { goTo, hrefOf, type Route } from '../route.ts';
import { api } from '../session/session.ts';
import { useResource } from '../session/use-resource.ts';
import { h, html } from '../ui.ts';
import { BatchPage } from './batch-page.ts';
import { BatchProgress } from './batch-progress.ts';
import { DropZone } from './start/drop-zone.ts';
import { keepDropped, NewBatch } from './start/new-batch.ts';

const PAGE = 25;
const REFRESH_MS = 2_000;

export function BatchesPage({ route }: { route: Route }) {
  const [, id] = route.parts;
  if (id === undefined) return h(BatchList, { route });
  return id === 'new' ? h(NewBatch, {}) : h(BatchPage, { id });
}

function BatchList({ route }: { route: Route }) {
  const after = route.query.get('after') ?? undefined;
  const batches = useResource({
    key: after ?? '',
    load: (signal) => api().batches.list({ after, limit: PAGE, signal, maxRetries: 0 }),
    everyMs: after === undefined ? REFRESH_MS : null,
  });
  const { data } = batches;
  const dropped = (file: File) => {
    keepDropped(file);
    goTo(hrefOf(['batches', 'new']));
  };
  return h(Page, {
    title: 'Batches',
    children: [
      h(DropZone, { onFile: dropped }),
      h(ErrorNotice, { error: batches.error, what: 'The batches could not be read' }),
      h(Panel, {
        class: 'flush',
        children:
          data === null
            ? batches.error === null && h(Loading, { lines: 6 })
            : data.data.length === 0
              ? h(Empty, { title: 'There are no batches yet.' })
              : h(Table<Batch>, {
                  label: 'Batches',
                  columns: COLUMNS,
                  rows: data.data,
                  keyOf: ({ id }) => id,
                }),
      }),
      html`<div class="row end">
        ${after !== undefined && html`<a class="button" href=${hrefOf(['batches'])}>Newest</a>`}
        ${
          data?.has_more === true &&
          html`<a class="button" href=${hrefOf(['batches'], { after: data.last_id })}>Older</a>`
        }
      </div>`,
    ],
  });
}

const COLUMNS: Column<Batch>[] = [
  { name: 'Status', cell: (batch) => h(BatchStatus, { batch }) },
  {
    name: 'Batch',
    cell: ({ id }) => html`<a class="mono" href=${hrefOf(['batches', id])}>${id}</a>`,
  },
  { name: 'Model', cell: ({ model }) => model ?? '–', wide: true },
  { name: 'Progress', cell: (batch) => h(BatchProgress, { batch }) },
  { name: 'Rows', cell: ({ request_counts }) => count(request_counts.total), number: true },
  {
    name: 'Failed',
    cell: ({ request_counts }) => count(request_counts.failed),
    ...{ number: true, wide: true },
  },
  {
    name: 'Rows/s',
    cell: ({ progress }) => amount(progress.rows_per_s),
    ...{ number: true, wide: true },
  },
  {
    name: 'Left',
    cell: (batch) => (isFinished(batch) ? '' : seconds(batch.progress.eta_s)),
    ...{ number: true, wide: true },
  },
  { name: 'Created', cell: ({ created_at }) => h(Time, { at: created_at }), number: true },
];

export function BatchStatus({ batch }: { batch: Batch }) {
  const { status, paused, dry_run } = batch;
  if (paused && !isFinished(batch)) return h(Status, { value: 'paused' });
  return h(Status, {
    value: status,
    ...(dry_run && status === 'completed' ? { label: 'checked' } : {}),
  });
}
