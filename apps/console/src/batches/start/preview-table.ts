import { shownName, Text } from '../../elements/text.ts';
import { h, html } from '../../ui.ts';
import type { Preview } from '../reading/preview.ts';
import type { Choices } from './choices.ts';

interface PreviewTableProps {
  preview: Preview;
  chosen: Pick<Choices, 'text' | 'textPair' | 'id'>;
}

/** The first rows as they are, with what was recognised in them. */
export function PreviewTable({ preview, chosen }: PreviewTableProps) {
  const { columns, rows, endpoint } = preview;
  if (columns === null) {
    return html`<p class="muted">
      Its columns cannot be seen before it is uploaded; name the one with the text below.
    </p>`;
  }
  const hasRoles = endpoint === null && preview.format !== 'text';
  const roleOf = (name: string) => {
    if (!hasRoles) return null;
    if (name === chosen.text) return 'text';
    if (name === chosen.textPair) return 'second text';
    return name === chosen.id ? 'id' : null;
  };
  return html`<div class="table-box" tabindex="0" role="region" aria-label="First rows">
    <table class="preview">
      <thead>
        <tr>
          ${columns.map(
            (name, i) => html`<th key=${i} scope="col" class=${roleOf(name) ? 'chosen' : null}>
              <bdi dir="auto">${shownName(name)}</bdi>
              ${roleOf(name) && html` <span class="role">${roleOf(name)}</span>`}
            </th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row, i) => html`<tr key=${i}>
            ${columns.map(
              (name, at) => html`<td key=${at} class=${roleOf(name) ? 'chosen' : null}>
                ${h(Text, { value: row[at] ?? '', oneLine: true })}
              </td>`,
            )}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}
