import { amount, count, duration, percent, seconds } from '../format.ts';
import { html } from '../ui.ts';
import type { Summary } from './summary.ts';

interface Tile {
  name: string;
  value: string;
  note: string;
}

/** The figures that matter first. */
export function Tiles({ now }: { now: Summary }) {
  return html`<dl class="tiles">
    ${tilesOf(now).map(
      ({ name, value, note }) => html`<div class="tile" key=${name}>
        <dt class="tile-name">${name}</dt>
        <dd class="tile-value">${value}</dd>
        <dd class="tile-note">${note}</dd>
      </div>`,
    )}
  </dl>`;
}

function tilesOf(now: Summary): Tile[] {
  const waiting = now.rows + now.bulkRows;
  return [
    { name: 'Rows that wait', value: amount(waiting), note: `${amount(now.bulkRows)} of batches` },
    {
      name: 'Time to drain',
      value: waiting === 0 ? seconds(0) : seconds(now.drainS),
      note: `${count(now.workers)} ready ${now.workers === 1 ? 'worker' : 'workers'}`,
    },
    {
      name: 'Rows per second',
      value: amount(now.rowsPerS),
      note: `${amount(now.tokensPerS)} tokens`,
    },
    {
      name: 'Answered in, p95',
      value: duration(now.totalMs?.p95),
      note: `p50 ${duration(now.totalMs?.p50)}`,
    },
    {
      name: 'Padding',
      value: percent(now.paddingRatio),
      note: `${amount(now.batchRows)} rows a tensor batch`,
    },
    {
      name: 'Engines busy',
      value: percent(now.busy),
      note: `${now.enginesReady} of ${now.engines} ready`,
    },
  ];
}
