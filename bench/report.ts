import type { Machine } from './machine.ts';
import type { Figure } from './part.ts';
import { judge, type Target, type Verdict } from './targets.ts';

export interface Report {
  figures: readonly Figure[];
  machine: Machine;
  quick: boolean;
  /** Parts that failed, and why. */
  failures: readonly { part: string; reason: string }[];
  targets: readonly Target[];
}

/** The report as text: targets first, then everything that was measured. */
export function renderTable({ figures, machine, quick, failures, targets }: Report): string {
  const { cpu, cores, memory_gib, system, node, redis, onnxruntime, bullmq, load_before } = machine;
  const lines = [
    `${cpu}, ${cores} cores, ${memory_gib} GiB, ${system}, load ${load_before} before`,
    `Node ${node}, Redis ${redis}, onnxruntime-node ${onnxruntime}, BullMQ ${bullmq}`,
    ...(quick ? ['Quick run: short rounds, figures mean little.'] : []),
    '',
    row(['figure', 'target', 'reached', '']),
    ...judge(figures, targets).map(verdictRow),
    '',
    row(['measured (medians)', 'value', 'unit', 'rounds']),
    ...detailsOf(figures, targets).map(detailRow),
    ...failures.map(({ part, reason }) => `FAILED ${part}: ${reason}`),
  ];
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

/**
 * The report as JSON: figures with a target under their own names at the top, all others under
 * `absolute`, and the single rounds of each under `rounds`.
 */
export function renderJson({ figures, machine, quick, failures, targets }: Report): string {
  const details = detailsOf(figures, targets);
  const promised = figures.filter((figure) => !details.includes(figure));
  const entries = (some: readonly Figure[]) =>
    some.map(({ name, value }) => [name, value] as const);
  const report = {
    ...nest(entries(promised)),
    targets: judge(figures, targets),
    machine,
    measured_at: new Date().toISOString(),
    quick,
    failures,
    absolute: nest(entries(details)),
    rounds: Object.fromEntries(figures.map(({ name, rounds }) => [name, rounds])),
  };
  return `${JSON.stringify(report, null, 1)}\n`;
}

function detailsOf(figures: readonly Figure[], targets: readonly Target[]): Figure[] {
  return figures.filter(({ name }) => !targets.some(({ figure }) => figure === name));
}

const WIDTHS = [44, 12, 12, 0];

function row(cells: readonly string[]): string {
  return cells.map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0)).join(' ');
}

function verdictRow({ figure, at, value, reached, met }: Verdict): string {
  const target = `${at === 'least' ? '≥' : '≤'} ${value}`;
  if (reached === null) return row([figure, target, '-', 'not measured']);
  return row([figure, target, digits(reached), met ? 'met' : 'MISSED']);
}

function detailRow({ name, value, unit, rounds }: Figure): string {
  return row([name, digits(value), unit, rounds.length > 1 ? rounds.map(digits).join(' ') : '']);
}

function digits(value: number): string {
  if (Math.abs(value) >= 1_000) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 3);
}

type Nested = { [name: string]: number | Nested };

/** `[['a.b', 1]]` → `{ a: { b: 1 } }` */
function nest(entries: readonly (readonly [string, number])[]): Nested {
  const root: Nested = {};
  for (const [name, value] of entries) {
    const path = name.split('.');
    const last = path.pop() ?? name;
    let at = root;
    for (const key of path) {
      const child = at[key];
      const next = typeof child === 'object' ? child : {};
      at[key] = next;
      at = next;
    }
    at[last] = value;
  }
  return root;
}
