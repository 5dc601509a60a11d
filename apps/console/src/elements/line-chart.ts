import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { html } from '../ui.ts';

export interface Line {
  label: string;
  values: (number | null)[];
  /** Under the line, its colour. */
  filled?: boolean;
}

interface LineChartProps {
  label: string;
  /** Unix seconds. */
  times: number[];
  lines: Line[];
  format: (value: number | null) => string;
  /** The axis reaches so far at least. */
  least: number;
  /** Seconds that are shown. */
  spanS: number;
}

const HEIGHT = 168;
const COLOURS = ['--chart-1', '--chart-2', '--chart-3', '--chart-4'];
/** Seconds between marks of the time: whole minutes, as they are written. */
const MARKS_S = [60, 120, 300, 600];
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
/** The pointer in one chart shows the same time in all. */
const SYNC = 'headrace';

/** Lines over time, with what they say now, or where the pointer is. */
export function LineChart(props: LineChartProps) {
  const { label, times, lines, format } = props;
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const scheme = useColourScheme();
  const current = useRef(props);
  current.current = props;
  const shape = lines.map((line) => line.label).join('\n');

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const made = new uPlot(optionsOf(element, current, setAt), dataOf(current.current), element);
    chart.current = made;
    const observer = new ResizeObserver(() => {
      made.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [shape, scheme]);
  useEffect(() => {
    chart.current?.setData(dataOf(props));
  }, [times, lines]);

  const shown = at !== null && at < times.length ? at : times.length - 1;
  const values = lines.map((line) => ({
    name: line.label,
    text: format(line.values[shown] ?? null),
  }));
  const summary = values.map(({ name, text }) => `${name} ${text}`).join(', ');
  return html`<ul class="chart-legend">
      ${values.map(
        ({ name, text }, i) => html`<li key=${name}>
          <span class=${`swatch s${i + 1}`} aria-hidden="true"></span>${name} <strong>${text}</strong>
        </li>`,
      )}
    </ul>
    <div class="chart" ref=${box} role="img" aria-label=${`${label}, now: ${summary}`}></div>`;
}

function dataOf({ times, lines }: LineChartProps): uPlot.AlignedData {
  return [times, ...lines.map(({ values }) => values)];
}

function optionsOf(
  element: HTMLElement,
  props: { current: LineChartProps },
  onPoint: (at: number | null) => void,
): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const grid = { stroke: colour('--line'), width: 1 };
  const axis = {
    stroke: colour('--muted'),
    font: '11px system-ui, sans-serif',
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { setScale: false }, sync: { key: SYNC }, points: { size: 6 } },
    scales: {
      x: {
        time: true,
        range: () => {
          const end = props.current.times.at(-1) ?? Date.now() / 1000;
          return [end - props.current.spanS, end];
        },
      },
      y: { range: (_, __, max) => [0, Math.max(props.current.least, 1.12 * (max ?? 0))] },
    },
    axes: [
      {
        ...{ ...axis, grid: { show: false }, space: 70, size: 26, incrs: MARKS_S },
        values: (_, ticks) => ticks.map((tick) => clock.format(new Date(tick * 1000))),
      },
      {
        ...{ ...axis, grid, space: 34, size: 58 },
        values: (_, ticks) => ticks.map((tick) => props.current.format(tick)),
      },
    ],
    series: [
      {},
      ...props.current.lines.map(({ label, filled }, i) => {
        const stroke = colour(COLOURS[i % COLOURS.length] ?? '');
        const fill = filled ? { fill: `${stroke}22` } : {};
        return { label, stroke, width: 1.6, points: { show: false }, spanGaps: false, ...fill };
      }),
    ],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)] },
  };
}

function useColourScheme(): boolean {
  const [dark, setDark] = useState(matchMedia('(prefers-color-scheme: dark)').matches);
  useEffect(() => {
    const query = matchMedia('(prefers-color-scheme: dark)');
    const change = () => setDark(query.matches);
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, []);
  return dark;
}
