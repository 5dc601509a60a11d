import type { ModelDetails } from '@headrace/client';
import { Facts, Panel } from '../elements/panel.ts';
import { type Column, Table } from '../elements/table.ts';
import { bytes, count, seconds } from '../format.ts';
import { type Children, h, html } from '../ui.ts';
import { Card } from './card/card.ts';
import { GoldenRows } from './golden/golden-rows.ts';

type Version = ModelDetails['versions'][number];
type Variant = Version['variants'][number];

const SHOWN_LABELS = 100;

/** All that is known of a model. */
export function ModelView({ model }: { model: ModelDetails }) {
  return html`<div class="stack">
    ${h(Panel, { title: 'What it is', children: h(Facts, { facts: factsOf(model) }) })}
    ${h(GoldenRows, { key: model.version, model })}
    ${
      model.labels !== null &&
      h(Panel, {
        title: 'Labels',
        aside: count(model.labels.length),
        children: html`<ul class="chips">
          ${model.labels
            .slice(0, SHOWN_LABELS)
            .map((label) => html`<li key=${label}><bdi dir="auto">${label}</bdi></li>`)}
        </ul>`,
      })
    }
    ${model.versions.map((version) =>
      h(Panel, {
        key: version.version,
        title: `Version ${version.version}`,
        aside: `${count(version.ready_workers)} workers ready`,
        class: 'flush',
        children: h(Table<Variant>, {
          ...{ label: `Variants of version ${version.version}`, columns: columnsOf(version) },
          rows: version.variants,
          keyOf: ({ name }) => name,
        }),
      }),
    )}
    ${model.card && h(Card, { markdown: model.card })}
  </div>`;
}

function factsOf(model: ModelDetails): [string, Children][] {
  return [
    ['Task', model.task],
    ['Licence', model.licence],
    ['Longest row', `${count(model.max_tokens)} tokens`],
    ['Pairs of texts', model.pairs ? 'yes' : 'no'],
    ...(model.dimensions === null ? [] : [dimensions(model.dimensions)]),
    ['Ready workers', count(model.ready_workers)],
    ['Jobs that wait', count(model.backlog.jobs)],
    ['Drains in', seconds(model.drain_s)],
    ['Digest', html`<code>${model.digest}</code>`],
  ];
}

const dimensions = (n: number): [string, Children] => ['Dimensions', count(n)];

function columnsOf({ default_variant }: Version): Column<Variant>[] {
  return [
    {
      name: 'Variant',
      cell: ({ name }) =>
        html`${name}${name === default_variant && html` <span class="muted">default</span>`}`,
    },
    { name: 'Precision', cell: ({ precision }) => precision },
    { name: 'Size', cell: (variant) => bytes(variant.bytes), number: true },
    {
      name: 'SHA-256',
      cell: ({ digest }) => html`<code title=${digest}>${digest.slice(7, 19)}…</code>`,
      wide: true,
    },
  ];
}
