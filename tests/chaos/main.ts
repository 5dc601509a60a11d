import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { describeRun } from './harness/machine.ts';
import { writeReliability } from './harness/reliability.ts';
import {
  type ChaosRow,
  type Report,
  type RowResult,
  type Scale,
  type Verdict,
  verdictOf,
} from './harness/row.ts';
import { ROWS } from './rows/index.ts';

const USAGE = `usage: npm run chaos                    every row, in its long form
       npm run chaos -- --rows 1,3,soak   these rows alone
       npm run chaos -- --quick           fewer repetitions (--short: as in the tests)
       npm run chaos -- --json FILE       the figures, for machines

RELIABILITY.md gets the figures of a long run; rows that did not run keep theirs. A row that this
machine cannot run is skipped, and says why; that is no failure, and no pass.`;

const WORDS: Record<Verdict, string> = {
  passed: 'passed',
  failed: 'FAILED',
  skipped: 'SKIPPED',
};
const MARKS: Record<Verdict, string> = { passed: '✔', failed: '✖', skipped: '–' };

const options = parseOptions();
if (options === null) {
  console.error(USAGE);
  process.exit(2);
}
const { scale, rows, wanted, json } = options;
const run = describeRun(wanted);
const reports: Report[] = [];
for (const row of rows) {
  reports.push(await runRow(row, scale));
  // After each, so that a long run that is broken off has not been for nothing.
  if (scale === 'long') await writeReliability(ROWS, reports, run);
}
for (const report of reports) print(report);
if (json) await writeFile(json, `${JSON.stringify({ ...run, scale, rows: reports }, null, 2)}\n`);
process.exit(reports.some(({ verdict }) => verdict === 'failed') ? 1 : 0);

interface Options {
  scale: Scale;
  rows: ChaosRow[];
  /** As they were asked for; null: all. */
  wanted: string | null;
  json: string | null;
}

function parseOptions(): Options | null {
  try {
    const { values } = parseArgs({
      options: {
        rows: { type: 'string' },
        json: { type: 'string' },
        quick: { type: 'boolean' },
        short: { type: 'boolean' },
      },
    });
    const wanted = values.rows ?? null;
    const names = wanted?.split(',') ?? ROWS.map(({ row }) => String(row));
    const rows = ROWS.filter(({ row }) => names.includes(String(row)));
    if (rows.length !== new Set(names).size) return null;
    const scale = values.short ? 'short' : values.quick ? 'quick' : 'long';
    return { scale, rows, wanted, json: values.json ?? null };
  } catch {
    return null;
  }
}

async function runRow(row: ChaosRow, scale: Scale): Promise<Report> {
  const began = performance.now();
  const say = (text: string) => {
    const seconds = Math.round((performance.now() - began) / 1000);
    console.log(`[${row.row}] ${seconds} s  ${text}`);
  };
  say(row.title);
  const result = await row.run({ say }, scale).catch(broken);
  const verdict = verdictOf(result);
  const why = [...result.missed, ...result.late, result.skipped ?? []].flat();
  say(`${WORDS[verdict]} ${why.join('; ')}`);
  const seconds = Math.round((performance.now() - began) / 1000);
  return { row: row.row, title: row.title, verdict, seconds, ...result };
}

/** A row that could not be run has not passed; the others still run. */
function broken(error: unknown): RowResult {
  console.error(error);
  return { figures: {}, missed: ['the row could not be run'], late: [] };
}

function print({ row, title, verdict, seconds, figures, missed, late, skipped }: Report): void {
  console.log(`\n${MARKS[verdict]} ${row}  ${title} (${seconds} s)`);
  if (skipped !== undefined) console.log(`    SKIPPED: ${skipped}`);
  for (const [name, value] of Object.entries(figures)) console.log(`    ${name}: ${value}`);
  for (const name of [...missed, ...late]) console.log(`    NOT HELD: ${name}`);
}
