import type { Figure } from './part.ts';

export interface Target {
  figure: string;
  at: 'least' | 'most';
  value: number;
}

/** What Headrace promises, by the names of the figures. */
export const TARGETS: readonly Target[] = [
  { figure: 'ratios.http_minilm', at: 'least', value: 0.9 },
  { figure: 'ratios.http_sentiment', at: 'least', value: 0.8 },
  { figure: 'ratios.null_engine', at: 'least', value: 0.4 },
  { figure: 'ratios.bulk_minilm', at: 'least', value: 0.95 },
  { figure: 'ratios.bulk_sentiment', at: 'least', value: 0.9 },
  { figure: 'ratios.bulk_null_engine', at: 'least', value: 0.6 },
  { figure: 'ratios.bulk_interactive_p99', at: 'most', value: 1 },
  { figure: 'ratios.submit', at: 'least', value: 0.7 },
  { figure: 'ratios.submit_http', at: 'least', value: 0.7 },
  { figure: 'idle_overhead_ms.p50', at: 'most', value: 2 },
  { figure: 'idle_overhead_ms.p99', at: 'most', value: 6 },
  { figure: 'padding_ratio', at: 'most', value: 0.05 },
  { figure: 'ready_s', at: 'most', value: 3 },
  { figure: 'overview.each_tab_percent', at: 'most', value: 1 },
  { figure: 'overview.lag_ms.max', at: 'most', value: 2_000 },
];

/** A target and what was reached; null where nothing was measured. */
export interface Verdict extends Target {
  reached: number | null;
  met: boolean | null;
}

export function judge(figures: readonly Figure[], targets: readonly Target[]): Verdict[] {
  return targets.map((target) => {
    const reached = figures.find(({ name }) => name === target.figure)?.value ?? null;
    return { ...target, reached, met: reached === null ? null : isMet(target, reached) };
  });
}

function isMet({ at, value }: Target, reached: number): boolean {
  return at === 'least' ? reached >= value : reached <= value;
}
