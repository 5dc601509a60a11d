import type { Batch } from '@headrace/client';
import { html } from '../ui.ts';

/** How much of a batch is done, and of that how much failed. */
export function BatchProgress({ batch, big = false }: { batch: Batch; big?: boolean }) {
  const { total, completed, failed } = batch.request_counts;
  const width = (rows: number) => ({ width: `${total === 0 ? 0 : (100 * rows) / total}%` });
  return html`<span
    class=${`progress ${big ? 'big' : ''}`}
    role="progressbar"
    aria-label="Rows done"
    aria-valuemin="0"
    aria-valuemax=${total}
    aria-valuenow=${completed + failed}
  >
    <span style=${width(completed)}></span><span class="failed" style=${width(failed)}></span>
  </span>`;
}
