import type { ModelSample } from '@headrace/client';
import { Bars } from '../elements/bars.ts';
import { SelectField } from '../elements/field.ts';
import { ErrorNotice, Notice } from '../elements/notice.ts';
import { Empty, Loading, Page, Panel } from '../elements/panel.ts';
import { Status } from '../elements/status.ts';
import { type Column, Table } from '../elements/table.ts';
import { amount, bytes, count, percent, seconds } from '../format.ts';
import { hrefOf, type Route, replaceRoute } from '../route.ts';
import { h, html } from '../ui.ts';
import { Charts } from './charts.ts';
import { drainS, errorsOf, summaryOf } from './summary.ts';
import { Tiles } from './tiles.ts';
import { type Live, useOverview } from './use-overview.ts';

/** What all of Headrace does, second by second. */
export function OverviewPage({ route }: { route: Route }) {
  const live = useOverview();
  const names = live?.now?.models.map(({ model }) => model) ?? [];
  const wanted = route.query.get('model');
  const model = names.find((name) => name === wanted) ?? null;
  const state = live === null ? 'Connecting' : live.connected ? 'Live' : 'Reconnecting';
  const choice =
    names.length > 1 &&
    h(SelectField, {
      label: 'Model',
      value: model ?? '',
      options: [
        { value: '', label: 'All models' },
        ...names.map((name) => ({ value: name, label: name })),
      ],
      onChange: (name) => replaceRoute(hrefOf(['overview'], { model: name })),
    });
  return h(Page, {
    title: 'Overview',
    lead: html`<span role="status">
      ${h(Status, { value: live?.connected ? 'running' : 'paused', label: state })}
    </span>`,
    actions: choice,
    children: [
      live !== null && !live.connected && h(ErrorNotice, { error: live.error }),
      live === null ? h(Loading, { lines: 12 }) : h(Seen, { live, model }),
    ],
  });
}

function Seen({ live, model }: { live: Live; model: string | null }) {
  const { now, history, sight } = live;
  if (now === null) return h(Empty, { title: 'No figures yet: they come within a few seconds.' });
  const models = now.models.filter((each) => model === null || each.model === model);
  return html`<div class="stack">
    ${
      sight === 'models' &&
      h(Notice, {
        title: 'Figures of all tenants together take a key with the scope admin.',
        children: 'This key sees what waits for each model.',
      })
    }
    ${h(Tiles, { now: summaryOf(now, model) })}
    ${h(Charts, { history, now, model })}
    ${h(Panel, {
      title: 'Models',
      class: 'flush',
      children: h(Table<ModelSample>, {
        ...{ label: 'Models', columns: COLUMNS, rows: models },
        keyOf: (each) => each.model,
      }),
    })}
    <div class="columns">
      ${h(Panel, { title: 'Errors of the last 15 minutes', children: h(Errors, { live }) })}
      ${h(Panel, { title: 'Redis memory', children: h(Memory, { live }) })}
    </div>
  </div>`;
}

const COLUMNS: Column<ModelSample>[] = [
  { name: 'Model', cell: ({ model }) => model },
  { name: 'Workers', cell: ({ workers }) => count(workers), number: true },
  {
    name: 'Engines',
    cell: ({ engines }) => (engines === null ? '–' : `${engines.ready} of ${engines.total}`),
    ...{ number: true, wide: true },
  },
  { name: 'Busy', cell: ({ engines }) => percent(engines?.busy), number: true, wide: true },
  { name: 'Restarts', cell: ({ engines }) => count(engines?.restarts), number: true, wide: true },
  { name: 'Rows/s', cell: ({ traffic }) => amount(traffic?.rows_per_s), number: true },
  { name: 'Jobs wait', cell: ({ backlog }) => `${amount(backlog.rows)} rows`, number: true },
  {
    name: 'Batches wait',
    cell: ({ bulk }) => `${amount(bulk.rows)} rows`,
    number: true,
    wide: true,
  },
  { name: 'Drains in', cell: (each) => seconds(drainS(each)), number: true },
];

function Errors({ live }: { live: Live }) {
  if (live.sight === 'models')
    return html`<p class="muted">Shown to keys with the scope admin.</p>`;
  const errors = errorsOf(live.history);
  if (errors.length === 0) return html`<p class="muted">None.</p>`;
  const most = Math.max(...errors.map((each) => each.count));
  return h(Bars, {
    label: 'Errors by code',
    wideNames: true,
    bars: errors.map(({ code, of, count: n }) => ({
      label: `${code} (${of})`,
      share: n / most,
      value: count(n),
    })),
  });
}

function Memory({ live }: { live: Live }) {
  const redis = live.now?.redis;
  if (redis == null) return html`<p class="muted">Not known.</p>`;
  const { used_bytes, max_bytes } = redis;
  if (max_bytes === null) return html`<p>${bytes(used_bytes)} used; no limit is set.</p>`;
  return h(Bars, {
    label: 'Redis memory',
    bars: [{ label: 'used', share: used_bytes / max_bytes, value: `${bytes(used_bytes)}` }],
  });
}
