import { type Children, html } from '../ui.ts';

export interface Column<T> {
  name: string;
  cell: (row: T) => Children;
  /** Numbers stand at the right. */
  number?: boolean;
  /** Left out where there is little room. */
  wide?: boolean;
}

interface TableProps<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  keyOf: (row: T) => string;
}

/** A table that scrolls sideways in its own box, by keyboard too. */
export function Table<T>({ label, columns, rows, keyOf }: TableProps<T>) {
  const classOf = ({ number, wide }: Column<T>) =>
    [number ? 'number' : '', wide ? 'wide' : ''].join(' ').trim() || null;
  return html`<div class="table-box" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead>
        <tr>
          ${columns.map(
            (column) => html`<th key=${column.name} scope="col" class=${classOf(column)}>
              ${column.name}
            </th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) => html`<tr key=${keyOf(row)}>
            ${columns.map(
              (column) =>
                html`<td key=${column.name} class=${classOf(column)}>${column.cell(row)}</td>`,
            )}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}
