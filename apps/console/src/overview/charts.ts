import type { OverviewSample } from '@headrace/client';
import { useMemo } from 'preact/hooks';
import { type Line, LineChart } from '../elements/line-chart.ts';
import { Panel } from '../elements/panel.ts';
import { amount, bytes, duration, percent } from '../format.ts';
import { h, html } from '../ui.ts';
import { type Percentiles, type Summary, summaryOf } from './summary.ts';

interface ChartsProps {
  history: OverviewSample[];
  now: OverviewSample | null;
  model: string | null;
}

/** What is kept; of a Headrace that has just begun, what there is, and not less than the first. */
const SPAN_S = { least: 2 * 60, most: 15 * 60 };
const MOST_MODELS = 4;
const shareText = (value: number | null) => percent(value);

/** The last quarter of an hour, or since the beginning. */
export function Charts({ history, now, model }: ChartsProps) {
  const samples = useMemo(() => withNow(history, now), [history, now]);
  const summaries = useMemo(() => samples.map((each) => summaryOf(each, model)), [samples, model]);
  const times = useMemo(() => samples.map(({ at }) => at), [samples]);
  const spanS = Math.min(SPAN_S.most, Math.max(SPAN_S.least, lengthS(times)));
  const of = (label: string, value: (summary: Summary) => number | null, filled = false): Line => ({
    ...{ label, values: summaries.map(value), filled },
  });
  const percentiles = (value: (summary: Summary) => Percentiles | null): Line[] => [
    of('p50', (each) => value(each)?.p50 ?? null),
    of('p95', (each) => value(each)?.p95 ?? null),
    of('p99', (each) => value(each)?.p99 ?? null),
  ];
  const chart = (
    title: string,
    options: Omit<Parameters<typeof LineChart>[0], 'label' | 'times' | 'spanS'>,
  ) => h(Panel, { title, children: h(LineChart, { ...options, label: title, times, spanS }) });
  const ofSlowest = model === null && (now?.models.length ?? 0) > 1 ? ', slowest model' : '';
  return html`<div class="charts">
    ${chart('Rows per second', { lines: speedLines(samples, model), format: amount, least: 1 })}
    ${chart('Rows that wait', {
      lines: [of('jobs', (each) => each.rows, true), of('batches', (each) => each.bulkRows)],
      ...{ format: amount, least: 10 },
    })}
    ${chart(`Submitted to answered${ofSlowest}`, {
      lines: percentiles((each) => each.totalMs),
      ...{ format: duration, least: 10 },
    })}
    ${chart(`Submitted to started${ofSlowest}`, {
      lines: percentiles((each) => each.waitMs),
      ...{ format: duration, least: 10 },
    })}
    ${chart('Rows per tensor batch', {
      lines: [of('rows', (each) => each.batchRows, true)],
      ...{ format: amount, least: 4 },
    })}
    ${chart('Padding', {
      lines: [of('cells without a token', (each) => each.paddingRatio, true)],
      ...{ format: shareText, least: 0.1 },
    })}
    ${chart('Engines busy', {
      lines: [of('share of their time', (each) => each.busy, true)],
      ...{ format: shareText, least: 1 },
    })}
    ${chart('Redis memory', {
      lines: [of('used', (each) => each.redisBytes, true)],
      ...{ format: bytes, least: 1_000_000 },
    })}
  </div>`;
}

function lengthS(times: number[]): number {
  return (times.at(-1) ?? 0) - (times[0] ?? 0);
}

/** The last seconds as the end of the lines, so that they move each second. */
function withNow(history: OverviewSample[], now: OverviewSample | null): OverviewSample[] {
  const last = history.at(-1);
  if (now === null || (last !== undefined && now.at <= last.at)) return history;
  return [...history, now];
}

function speedLines(samples: OverviewSample[], model: string | null): Line[] {
  const last = samples.at(-1);
  const names = (last?.models ?? [])
    .map((each) => each.model)
    .filter((name) => model === null || name === model)
    .slice(0, MOST_MODELS);
  return names.map((name) => ({
    label: name,
    filled: true,
    values: samples.map((sample) => {
      const found = sample.models.find((each) => each.model === name);
      return found?.traffic?.rows_per_s ?? null;
    }),
  }));
}
