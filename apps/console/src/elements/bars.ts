import { amount, percent } from '../format.ts';
import { html } from '../ui.ts';

interface Bar {
  label: string;
  /** 0 to 1 of the width. */
  share: number;
  /** What stands beside it; the share unless given. */
  value?: string;
}

interface BarsProps {
  label: string;
  bars: Bar[];
  /** Names of more than a word. */
  wideNames?: boolean;
}

/** Names, bars and figures. */
export function Bars({ label, bars, wideNames = false }: BarsProps) {
  return html`<ul class=${wideNames ? 'bars wide-names' : 'bars'} aria-label=${label}>
    ${bars.map(
      (bar) => html`<li key=${bar.label}>
        <bdi class="bar-name" dir="auto" title=${bar.label}>${bar.label}</bdi>
        <span class="bar-track" aria-hidden="true">
          <span class="bar-fill" style=${{ width: `${100 * Math.min(1, Math.max(0, bar.share))}%` }}></span>
        </span>
        <span class="bar-value">${bar.value ?? percent(bar.share)}</span>
      </li>`,
    )}
  </ul>`;
}

interface HistogramProps {
  label: string;
  /** How many there are in each of equal steps from 0 to 1. */
  counts: number[];
}

export function Histogram({ label, counts }: HistogramProps) {
  const most = Math.max(1, ...counts);
  const total = counts.reduce((sum, n) => sum + n, 0);
  const edge = (i: number) => i / counts.length;
  const ranges = counts.map((n, i) => `${edge(i)} to ${edge(i + 1)}: ${n}`);
  const text = `${label}: ${ranges.join(', ')}`;
  return html`<figure class="histogram">
    <div class="histogram-bars" role="img" aria-label=${text}>
      ${counts.map(
        (n, i) =>
          html`<span
            key=${i}
            style=${{ height: `${(100 * n) / most}%` }}
            title=${`${amount(n)} rows`}
          ></span>`,
      )}
    </div>
    <figcaption><span>0</span><span>${total === 0 ? 'no rows yet' : label}</span><span>1</span></figcaption>
  </figure>`;
}
