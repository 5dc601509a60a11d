import type { Batch } from '@headrace/client';
import { useState } from 'preact/hooks';
import { Button } from '../../elements/button.ts';
import { ErrorNotice } from '../../elements/notice.ts';
import { Loading, Panel } from '../../elements/panel.ts';
import { type Column, Table } from '../../elements/table.ts';
import { Text } from '../../elements/text.ts';
import { count } from '../../format.ts';
import { api } from '../../session/session.ts';
import { useResource } from '../../session/use-resource.ts';
import { h, html } from '../../ui.ts';

interface ErrorRow {
  line: number | null;
  id: string | null;
  code: string;
  message: string;
}

const A_STEP = 20;

/** Rows that failed: where in the file, and why. */
export function ErrorRows({ batch }: { batch: Batch }) {
  const [shown, setShown] = useState(A_STEP);
  const { failed } = batch.request_counts;
  const rows = useResource({
    key: `${batch.id} ${shown} ${Math.min(failed, shown + 1)}`,
    load: async (signal): Promise<ErrorRow[]> => {
      if (failed === 0) return [];
      const query = { kind: 'errors' as const, limit: shown, signal, maxRetries: 0 };
      const { value: page } = await api().batches.results(batch.id, query).next();
      return (page?.data ?? []).map(errorRow);
    },
  });
  if (failed === 0) return null;
  return h(Panel, {
    title: 'Rows that failed',
    aside: count(failed),
    class: 'flush',
    children: html`${h(ErrorNotice, { error: rows.error, what: 'They could not be read' })}
      ${
        rows.data === null
          ? rows.error === null && h(Loading, { lines: 3 })
          : h(Table<ErrorRow>, {
              ...{ label: 'Rows that failed', columns: COLUMNS, rows: rows.data },
              keyOf: ({ line, id }) => `${line} ${id}`,
            })
      }
      ${
        shown < failed &&
        html`<div class="row pad">
          ${h(Button, { onClick: () => setShown(Math.min(1_000, shown * 5)), children: 'Show more' })}
        </div>`
      }`,
  });
}

const COLUMNS: Column<ErrorRow>[] = [
  { name: 'Line', cell: ({ line }) => count(line), number: true },
  { name: 'Id', cell: ({ id }) => (id === null ? '–' : h(Text, { value: id, oneLine: true })) },
  { name: 'Reason', cell: ({ message }) => h(Text, { value: message, most: 300 }) },
  { name: 'Code', cell: ({ code }) => html`<code>${code}</code>`, wide: true },
];

/** A line of the error file: of a document, or of a request. */
function errorRow(row: unknown): ErrorRow {
  const given: Partial<{
    line: number;
    id: string | null;
    custom_id: string | null;
    error: Partial<ErrorRow> | null;
    response: { body?: { error?: Partial<ErrorRow> } } | null;
  }> = Object(row);
  const error = given.error ?? given.response?.body?.error ?? {};
  return {
    line: given.line ?? null,
    id: given.custom_id ?? (given.response === undefined ? (given.id ?? null) : null),
    code: error.code ?? 'unknown',
    message: error.message ?? 'No reason is given.',
  };
}
