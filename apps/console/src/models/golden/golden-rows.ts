import type { Job, ModelDetails, ModelGoldenRow, RowOutput } from '@headrace/client';
import { useState } from 'preact/hooks';
import { Button } from '../../elements/button.ts';
import { ErrorNotice, Notice } from '../../elements/notice.ts';
import { Panel } from '../../elements/panel.ts';
import { type Column, Table } from '../../elements/table.ts';
import { Text } from '../../elements/text.ts';
import { count } from '../../format.ts';
import { hrefOf } from '../../route.ts';
import { api } from '../../session/session.ts';
import { useAction } from '../../session/use-action.ts';
import { type Children, h, html } from '../../ui.ts';
import { type Expected, isRight } from './verdict.ts';

/** How long a check waits for a worker. */
const TTL_S = 600;
const SHOWN_NUMBERS = 3;

/** A golden row, with what it came to if it was run. */
interface Checked {
  row: ModelGoldenRow;
  place: number;
  expected: Expected | undefined;
  got: RowOutput | undefined;
  right: boolean | null;
}

/** The texts whose answers are known, and whether this deployment gives them. */
export function GoldenRows({ model }: { model: ModelDetails }) {
  const [job, setJob] = useState<Job | null>(null);
  const action = useAction<void>(async (_, signal) => {
    setJob(null);
    const request = { model: model.id, input: model.golden.map(inputOf), ttl_s: TTL_S };
    const { id } = await api().jobs.submit(request, { signal, maxRetries: 1 });
    setJob(await api().jobs.wait(id, { signal }));
  });
  const variant = job?.variant ?? model.default_variant;
  const { dimensions } = model;
  const tolerance = model.variants.find(({ name }) => name === variant)?.tolerance ?? 0;
  const rows = model.golden.map((row, place): Checked => {
    const expected = row.expected.find((each) => each.variant === variant);
    const got = job?.output?.[place];
    const right = got && expected ? isRight(expected, got, { tolerance, dimensions }) : null;
    return { row, place, expected, got, right };
  });
  return h(Panel, {
    title: 'Golden rows',
    aside: count(rows.length),
    class: 'flush',
    children: html`<div class="golden-head">
        ${h(Button, { onClick: () => action.run(), busy: action.running, children: 'Check now' })}
        <p role="status">
          ${action.running ? waiting(model) : job?.output ? summary({ job, rows, tolerance }) : ABOUT}
        </p>
      </div>
      ${h(ErrorNotice, { error: action.error, what: 'It was not checked' })}
      ${
        job?.error && h(Notice, { tone: 'bad', title: job.error.message, children: job.error.code })
      }
      ${h(Table<Checked>, {
        label: 'Golden rows',
        columns: job?.output ? [RIGHT, ...COLUMNS, GOT] : COLUMNS,
        rows,
        keyOf: ({ place }) => `${place}`,
      })}`,
  });
}

const ABOUT = 'Texts whose answers are known: does this deployment give them?';

function waiting({ ready_workers }: ModelDetails): string {
  return ready_workers > 0 ? 'Checking …' : 'No worker is ready: the check waits for one …';
}

function inputOf({ text, text_pair }: ModelGoldenRow) {
  return text_pair === null ? text : { text, text_pair };
}

interface Summary {
  job: Job;
  rows: Checked[];
  tolerance: number;
}

function summary({ job, rows, tolerance }: Summary): Children {
  const wrong = rows.filter(({ right }) => right !== true).length;
  const text =
    wrong === 0
      ? `All ${count(rows.length)} answers are right`
      : `${count(wrong)} of ${count(rows.length)} answers ${wrong === 1 ? 'is' : 'are'} wrong`;
  return html`${h(Verdict, { right: wrong === 0, text })}, by variant ${job.variant} within${' '}
    ${tolerance}: <a href=${hrefOf(['jobs', job.id])}>${job.id}</a>`;
}

function Verdict({ right, text }: { right: boolean; text: string }) {
  return html`<span class=${right ? 'verdict ok' : 'verdict bad'}
    ><span aria-hidden="true">${right ? '✔' : '✖'}</span> ${text}</span
  >`;
}

const COLUMNS: Column<Checked>[] = [
  {
    name: 'Text',
    cell: ({ row }) => html`${h(Text, { value: row.text, oneLine: true })}
      ${row.text_pair !== null && html`<br />${h(Text, { value: row.text_pair, oneLine: true })}`}`,
  },
  { name: 'Expected', cell: ({ expected }) => (expected ? answer(expected) : '–') },
];

/** What a narrow screen shows first. */
const RIGHT: Column<Checked> = {
  name: 'Right',
  cell: ({ right }) => h(Verdict, { right: right === true, text: right ? 'right' : 'wrong' }),
};

const GOT: Column<Checked> = {
  name: 'Got',
  cell: ({ got }) => (got ? (got.error?.message ?? answer(got)) : '–'),
};

/** The best label, or how the vector begins. */
function answer({ labels, embedding }: RowOutput | Expected): Children {
  const [best] = labels ?? [];
  if (best !== undefined) {
    return html`<span class="answer"><bdi dir="auto">${best.label}</bdi> ${best.score.toFixed(4)}</span>`;
  }
  if (!Array.isArray(embedding)) return '–';
  const numbers = embedding.slice(0, SHOWN_NUMBERS).map((value) => value.toFixed(4));
  return html`<span class="answer">${numbers.join(', ')} …</span>`;
}
