import { HeadraceError, type Model } from '@headrace/client';
import { ErrorNotice, Notice } from '../elements/notice.ts';
import { Empty, Loading, Page, Panel } from '../elements/panel.ts';
import { Status } from '../elements/status.ts';
import { type Column, Table } from '../elements/table.ts';
import { amount, count, seconds } from '../format.ts';
import { hrefOf, type Route } from '../route.ts';
import { api } from '../session/session.ts';
import { useResource } from '../session/use-resource.ts';
import { h, html } from '../ui.ts';
import { ModelView } from './model-view.ts';

const REFRESH_MS = 3_000;

export function ModelsPage({ route }: { route: Route }) {
  const [, name] = route.parts;
  return name === undefined ? h(ModelList, {}) : h(ModelPage, { name });
}

function ModelList() {
  const { data, error } = useResource({
    key: 'models',
    load: (signal) => api().models.list({ signal, maxRetries: 0 }),
    everyMs: REFRESH_MS,
  });
  return h(Page, {
    title: 'Models',
    lead: 'What is served, by whom, and how long what waits for it will take.',
    children: [
      h(ErrorNotice, { error, what: 'The models could not be read' }),
      h(Panel, {
        class: 'flush',
        children:
          data === null
            ? error === null && h(Loading, { lines: 4 })
            : data.length === 0
              ? h(Empty, { title: 'No model is served.' })
              : h(Table<Model>, {
                  label: 'Models',
                  columns: COLUMNS,
                  rows: data,
                  keyOf: ({ id }) => id,
                }),
      }),
    ],
  });
}

const COLUMNS: Column<Model>[] = [
  {
    name: 'Model',
    cell: (model) =>
      html`<a href=${hrefOf(['models', model.id])}>${model.id}</a>${
        model.default && html` <span class="muted">default</span>`
      }`,
  },
  { name: 'Task', cell: ({ task }) => task },
  { name: 'Version', cell: ({ version }) => version, wide: true },
  {
    name: 'Workers',
    cell: ({ ready_workers: n }) =>
      h(Status, {
        value: n > 0 ? 'completed' : 'pending',
        label: n > 0 ? `${count(n)} ready` : 'none',
      }),
  },
  { name: 'Rows wait', cell: ({ backlog }) => amount(backlog.rows), number: true, wide: true },
  { name: 'Drains in', cell: ({ drain_s }) => seconds(drain_s), number: true },
];

function ModelPage({ name }: { name: string }) {
  const { data, error } = useResource({
    key: name,
    load: (signal) => api().models.get(name, { signal, maxRetries: 0 }),
    everyMs: REFRESH_MS,
  });
  const gone = error instanceof HeadraceError && error.code === 'model_not_found';
  if (data === null || gone) {
    const children = gone
      ? h(Notice, { tone: 'warn', title: 'There is no such model.' })
      : error === null
        ? h(Loading, { lines: 8 })
        : h(ErrorNotice, { error, what: 'The model could not be read' });
    return h(Page, { title: name, children });
  }
  return h(Page, {
    title: data.id,
    lead: data.description,
    actions: html`<a class="button primary" href=${hrefOf(['try'], { model: data.id })}>Try it</a>
      <a class="button" href=${hrefOf(['models'])}>All models</a>`,
    children: [
      h(ErrorNotice, { error, what: 'It could not be read anew' }),
      h(ModelView, { model: data }),
    ],
  });
}
