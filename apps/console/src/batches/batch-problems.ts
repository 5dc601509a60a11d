import type { BatchProblem } from '@headrace/client';
import { Text } from '../elements/text.ts';
import { count } from '../format.ts';
import { h, html } from '../ui.ts';

/** Why a batch failed as a whole. */
export function BatchProblems({ title, problems }: { title: string; problems: BatchProblem[] }) {
  return html`<div class="notice bad" role="alert">
    <strong>${title}</strong>
    <ul>
      ${problems.map(
        ({ code, line, message }, i) => html`<li key=${i}>
          ${line !== null && html`Line ${count(line)}: `}${h(Text, { value: message, most: 500 })}
          <span class="muted">${code}</span>
        </li>`,
      )}
    </ul>
  </div>`;
}
