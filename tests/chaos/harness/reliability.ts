import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { RunFacts } from './machine.ts';
import type { ChaosRow, Report } from './row.ts';

const FILE = fileURLToPath(new URL('../../../RELIABILITY.md', import.meta.url));

const INTRODUCTION = `# Reliability

What Headrace survives, with figures. \`npm run chaos\` inflicts each fault on the real processes
(Redis, API, workers, engines, dispatchers) and writes this page; nothing here is written by hand. A
fault keeps its figures until it is run again. \`npm test\` inflicts the same faults, fewer times.

An extra inference is a text that was handed to an engine once more. A result is never doubled by
it: the first record of a job is the only one. Extra inferences are counted from the notices that
workers send when they hand a text to an engine, so the very last of a killed worker may be missing.
Rows in flight are those that the engines of all workers had at a kill, not of the killed one alone.
"Plain BullMQ" is what was measured on BullMQ 6.7 with its default options under the same fault.

| # | fault | goal | this run | plain BullMQ | passed |
|---|---|---|---|---|---|
`;

/** Writes RELIABILITY.md: faults that were run get new figures; skipped or not, others keep theirs. */
export async function writeReliability(
  rows: ChaosRow[],
  reports: Report[],
  run: RunFacts,
): Promise<void> {
  const former = await readFile(FILE, 'utf8').catch(() => '');
  const parts = rows.map((row) => {
    const report = reports.find((each) => each.row === row.row);
    if (report && report.skipped === undefined) {
      return { line: tableLine(row, report), section: section(row, report, run) };
    }
    return { line: formerLine(former, row), section: formerSection(former, row) };
  });
  const table = parts.map(({ line }) => line).join('\n');
  const sections = parts.flatMap(({ section }) => section ?? []).join('\n');
  await writeFile(FILE, `${INTRODUCTION}${table}\n\n${sections}`);
}

function tableLine(row: ChaosRow, { figures, verdict }: Report): string {
  const headline = row.headline
    .filter((name) => figures[name] !== undefined)
    .map((name) => nameAndValue(name, figures[name]).join(' '));
  const cells = [
    row.row,
    row.title,
    row.goal,
    headline.join(', '),
    row.plainBullmq,
    verdict === 'passed' ? 'yes' : 'NO',
  ];
  return `| ${cells.join(' | ')} |`;
}

function section(row: ChaosRow, report: Report, run: RunFacts): string {
  const broken = [...report.missed, ...report.late];
  const figures = Object.entries(report.figures);
  return [
    heading(row),
    '',
    `${run.date}, \`${run.command}\`, ${report.seconds} s on`,
    `${run.machine}.`,
    ...(report.notes ? [report.notes] : []),
    ...broken.map((promise) => `Not held: ${promise}.`),
    '',
    '| figure | value |',
    '|---|---:|',
    ...figures.map(([name, value]) => `| ${nameAndValue(name, value).join(' | ')} |`),
    '',
  ].join('\n');
}

function heading({ row, title }: ChaosRow): string {
  if (typeof row === 'number') return `## Fault ${row}: ${title}`;
  return `## ${row.charAt(0).toUpperCase()}${row.slice(1)}: ${title}`;
}

const UNITS: Record<string, string> = { s: 's', ms: 'ms', mib: 'MiB' };

/** `exit_max_s` and 0.5 are shown as "exit max" and "0.5 s". */
function nameAndValue(name: string, value: number | string | undefined): [string, string] {
  const words = name.split('_');
  const unit = UNITS[words.at(-1) ?? ''];
  if (unit === undefined) return [words.join(' '), String(value)];
  return [words.slice(0, -1).join(' '), `${value} ${unit}`];
}

function formerLine(former: string, row: ChaosRow): string {
  const line = former.split('\n').find((each) => each.startsWith(`| ${row.row} | `));
  const cells = [row.row, row.title, row.goal, 'not run yet', row.plainBullmq, '–'];
  return line ?? `| ${cells.join(' | ')} |`;
}

function formerSection(former: string, row: ChaosRow): string | null {
  const sections = former.split(/^(?=## )/m);
  const found = sections.find((each) => each.startsWith(`${heading(row)}\n`));
  return found === undefined ? null : `${found.trimEnd()}\n`;
}
