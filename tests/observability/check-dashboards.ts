import { setTimeout as sleep } from 'node:timers/promises';
import { filledIn, GPU_SERIES, readDashboards } from '../helpers/dashboards.ts';
import { readRules } from '../helpers/prometheus-rules.ts';
import { readPromql } from '../helpers/promql.ts';
import { startLoadedSystem } from './load.ts';
import { missingPrometheus, startPrometheus } from './prometheus.ts';

// Puts a load on a whole Headrace, and shows which queries of the dashboards and which recording
// rules a real Prometheus, with the rules of the repository, answers with data.
const DEADLINE_MS = 120_000;
const PAUSE_MS = 1_000;
const RATE_INTERVAL = '1m';

interface Question {
  of: string;
  name: string;
  query: string;
  /** Series that answered it; 0 until one does. */
  series: number;
}

const problem = missingPrometheus();
if (problem !== null) {
  console.error(problem);
  process.exit(1);
}
const questions = [...ofDashboards(), ...ofRecordingRules()];
let errors: string[] = [];
await ask();
for (const of of new Set(questions.map((question) => question.of))) {
  console.log(of);
  for (const question of questions) if (question.of === of) print(question);
}
const answered = questions.filter(({ series }) => series > 0);
const missing = questions.filter((question) => question.series === 0 && !needsGpu(question));
const gpu = questions.length - answered.length - missing.length;
for (const error of errors) console.log(`rule fails: ${error}`);
const counts = `${answered.length} of ${questions.length} queries with data`;
console.log(`${counts}, ${gpu} need a GPU, ${missing.length} have none`);
process.exit(missing.length + errors.length === 0 ? 0 : 1);

function ofDashboards(): Question[] {
  return readDashboards().flatMap((dashboard) =>
    dashboard.panels.flatMap(({ title, targets }) =>
      targets.map(({ expr, legendFormat }) => ({
        of: `dashboard ${dashboard.title}`,
        name: `${title}: ${legendFormat}`,
        query: filledIn(expr, RATE_INTERVAL),
        series: 0,
      })),
    ),
  );
}

function ofRecordingRules(): Question[] {
  return readRules().flatMap((rule) =>
    'record' in rule
      ? [{ of: 'recording rules', name: rule.record, query: rule.record, series: 0 }]
      : [],
  );
}

/** Until each has been answered that can be, or nothing more is to be hoped for. */
async function ask(): Promise<void> {
  await using undo = new AsyncDisposableStack();
  const { system, round, stop } = await startLoadedSystem();
  undo.defer(stop);
  const prometheus = await startPrometheus({
    'headrace-api': system.api.port,
    'headrace-worker': Number(system.worker.ready.port),
    'headrace-dispatcher': Number(system.dispatcher.ready.port),
  });
  undo.defer(() => prometheus.stop());
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    await round();
    const open = questions.filter(({ series }) => series === 0);
    for (const question of open) question.series = await prometheus.seriesOf(question.query);
    errors = await prometheus.ruleErrors();
    const done = open.every((question) => question.series > 0 || needsGpu(question));
    if (done || Date.now() > deadline) return;
    await sleep(PAUSE_MS);
  }
}

function needsGpu({ query }: Question): boolean {
  return readPromql(query).selectors.some(({ metric }) => GPU_SERIES.includes(metric));
}

function print(question: Question): void {
  const without = needsGpu(question) ? 'needs a GPU' : 'NO DATA';
  const said = question.series > 0 ? `${question.series} series` : without;
  console.log(`  ${said.padEnd(11)} ${question.name}`);
}
