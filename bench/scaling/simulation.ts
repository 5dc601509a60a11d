import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Panel, plot } from './plot.ts';
import { readScaledObject, SCALED_OBJECTS, type ScaledObject } from './scaled-object.ts';
import { type Cluster, type Outcome, type Seen, simulate } from './simulate.ts';
import { readTrace, TRACE_NAMES, TRACES, type TraceName } from './traces.ts';

const CLUSTER = { tokensPerS: 2_000, podStartS: 20, drainS: 25 };
/** What a worker takes out of the queue, and what it runs at once. */
const UNITS = {
  jobs: { held: 192, running: 16, rows: 1 },
  bulk: { held: 2, running: 2, rows: 1_000 },
};
/** Seconds of work of one worker that a worker is started for. */
const TARGETS_S = [10, 30, 60, 120];
const DOCS = fileURLToPath(new URL('../../docs/scaling', import.meta.url));

interface Rule {
  label: string;
  color: readonly [number, number, number];
  object: ScaledObject;
  /** @param rows of a unit */
  metric: (seen: Seen, rows: number) => number;
}

/** Compares the rules on every trace. @returns Markdown; the plots are written to `docs/scaling/` */
export function compareRules(): string {
  const rules = readRules();
  mkdirSync(DOCS, { recursive: true });
  const lines = [
    '| trace | rule | p50 wait s | p95 wait s | pods at most | pod-hours | busy stops | work lost |',
    '|---|---|---|---|---|---|---|---|',
  ];
  for (const name of TRACE_NAMES) {
    const outcomes = rules.map((rule) => runRule(name, rule));
    for (const [i, rule] of rules.entries()) {
      const outcome = outcomes[i];
      if (outcome !== undefined) lines.push(row([name, rule.label], outcome));
    }
    writeFileSync(`${DOCS}/${name}.png`, plot(panelsOf(rules, outcomes)));
  }
  return lines.join('\n');
}

/** The rule by work with other targets. @returns Markdown */
export function compareTargets(): string {
  const [, , work] = readRules();
  const lines = [
    '| trace | target s | p50 wait s | p95 wait s | pods at most | pod-hours | busy stops | work lost |',
    '|---|---|---|---|---|---|---|---|',
  ];
  for (const name of TRACE_NAMES) {
    for (const target of TARGETS_S) {
      const scalingModifiers = { ...work.object.advanced.scalingModifiers, target };
      const object = { ...work.object, advanced: { ...work.object.advanced, scalingModifiers } };
      lines.push(row([name, String(target)], runRule(name, { ...work, object })));
    }
  }
  return lines.join('\n');
}

/** Jobs that wait and nothing else, as everybody begins; then the two of `k8s/`. */
export function readRules(): [Rule, Rule, Rule] {
  const lists = readScaledObject(SCALED_OBJECTS.lists);
  const work = readScaledObject(SCALED_OBJECTS.work);
  return [
    {
      ...{ label: 'waiting only', color: [200, 60, 50], object: lists },
      metric: ({ waiting }, rows) => waiting * rows,
    },
    {
      ...{ label: '(a) lists', color: [40, 110, 190], object: lists },
      metric: ({ waiting, active }, rows) => (waiting + active) * rows,
    },
    {
      ...{ label: '(b) work', color: [40, 150, 70], object: work },
      metric: ({ tokens }) => (tokens === 0 ? 0 : Math.max(0.1, tokens / CLUSTER.tokensPerS)),
    },
  ];
}

/** One rule on one trace. */
export function runRule(name: TraceName, { object, metric }: Rule): Outcome {
  const { rows, ...units } = UNITS[TRACES[name].kind];
  const cluster: Cluster = { ...CLUSTER, ...units };
  const arrivals = readTrace(name);
  return simulate({ arrivals, object, cluster, metric: (seen) => metric(seen, rows) });
}

function row(names: readonly string[], outcome: Outcome): string {
  const { waitP50S, waitP95S, mostReplicas, podHours, busyStops, lostTokens } = outcome;
  const lost = `${Math.round(lostTokens / CLUSTER.tokensPerS)} s`;
  const cells = [waitP50S, waitP95S, mostReplicas, podHours.toFixed(2), busyStops, lost];
  return `| ${[...names, ...cells].join(' | ')} |`;
}

const PIXELS = 800;

function panelsOf(rules: readonly Rule[], outcomes: readonly Outcome[]): Panel[] {
  const panel = (title: string, pick: 'backlog' | 'replicas' | 'waitP95S' | 'podHours'): Panel => ({
    title,
    lines: rules.map(({ label, color }, i) => {
      const steps = outcomes[i]?.steps ?? [];
      const every = Math.max(1, Math.ceil(steps.length / PIXELS));
      const points = steps.filter((_, at) => at % every === 0);
      return { label, color, points: points.map((step) => ({ x: step.atS, y: step[pick] })) };
    }),
  });
  return [
    panel('units that wait', 'backlog'),
    panel('pods', 'replicas'),
    panel('p95 wait in s', 'waitP95S'),
    panel('pod-hours', 'podHours'),
  ];
}
