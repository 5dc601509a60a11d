import type { Job } from '@headrace/client';
import { duration } from '../format.ts';
import { html } from '../ui.ts';

type Timings = NonNullable<Job['timings']>;

const STEPS = [
  ['queue', 'queue_ms', 'Waits in the queue'],
  ['tokenise', 'tokenize_ms', 'Text to tokens'],
  ['batch wait', 'batch_wait_ms', 'Waits for an engine and for company'],
  ['infer', 'infer_ms', 'The model runs'],
] as const;

/** Where the time of one job went, one step under the other. */
export function Waterfall({ timings }: { timings: Timings }) {
  const total = Math.max(timings.total_ms, 0.001);
  const known = STEPS.map(([name, field, hint]) => ({ name, hint, ms: timings[field] }));
  const rest = Math.max(0, total - known.reduce((sum, { ms }) => sum + ms, 0));
  const steps = [...known, { name: 'write', hint: 'Result stored, and all in between', ms: rest }];
  let at = 0;
  return html`<ol class="waterfall" aria-label="Where the time went">
    ${steps.map(({ name, hint, ms }) => {
      const left = (100 * at) / total;
      const width = Math.max(0.5, Math.min((100 * ms) / total, 100 - left));
      at += ms;
      return html`<li key=${name} title=${hint}>
        <span class="bar-name">${name}</span>
        <span class="bar-track" aria-hidden="true">
          <span
            class=${`bar-fill step-${name.replace(' ', '-')}`}
            style=${{ marginLeft: `${Math.min(left, 99.5)}%`, width: `${width}%` }}
          ></span>
        </span>
        <span class="bar-value">${duration(ms)}</span>
      </li>`;
    })}
    <li class="total">
      <span class="bar-name">total</span><span></span>
      <span class="bar-value">${duration(timings.total_ms)}</span>
    </li>
  </ol>`;
}
