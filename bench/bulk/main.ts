import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { readModelsDir } from '@headrace/shared/manifests.ts';
import { makeOwnDocuments } from '../benchmark.ts';
import { describeMachine } from '../machine.ts';
import { defaultModel, type Figure } from '../part.ts';
import { renderJson, renderTable } from '../report.ts';
import type { Target } from '../targets.ts';
import { runLargeBatch } from './large-batch.ts';
import { largeFigures } from './large-figures.ts';

const MODELS = fileURLToPath(new URL('../../models', import.meta.url));
const STOP_DEADLINE_MS = 60_000;
/** With `--short`: no more tokens than these. */
const SHORT_TOKENS = 31;
/** What the resident memory of a process may vary by without growing. */
const FLAT_MIB = 32;

const TARGETS: readonly Target[] = [
  { figure: 'ratios.bulk_large', at: 'least', value: 0.6 },
  ...['api', 'dispatcher', 'worker'].flatMap((name): Target[] => [
    { figure: `bulk_large.${name}.above_idle_mib`, at: 'most', value: 256 },
    { figure: `bulk_large.${name}.growth_mib`, at: 'most', value: FLAT_MIB },
  ]),
  { figure: 'bulk_large.redis_bytes_per_row', at: 'most', value: 100 },
  { figure: 'bulk_large.redis_slope_bytes_per_row', at: 'most', value: 1 },
];

const { rows, short, json } = readArguments();
const machine = describeMachine();
const say = (line: string) => console.error(line);
const lifecycle = new Lifecycle((name, error) => say(`${name} could not be stopped: ${error}`));
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void lifecycle.stop(STOP_DEADLINE_MS).finally(() => process.exit(1)));
}

const failures: { part: string; reason: string }[] = [];
let figures: Figure[] = [];
try {
  figures = await measure();
} catch (error) {
  say(error instanceof Error ? `${error.stack}` : String(error));
  failures.push({ part: 'bulk_large', reason: error instanceof Error ? error.message : '' });
} finally {
  await lifecycle.stop(STOP_DEADLINE_MS);
}
const report = { figures, machine, quick: false, failures, targets: TARGETS };
console.log(`\n${renderTable(report)}`);
if (json !== undefined) await writeFile(json, renderJson(report));
process.exit(failures.length > 0 ? 1 : 0);

async function measure(): Promise<Figure[]> {
  const { folders } = await readModelsDir(MODELS);
  const documents = await makeOwnDocuments(folders);
  const used = short ? documents.filter(({ tokens }) => tokens <= SHORT_TOKENS) : documents;
  const texts = used.map(({ text }) => text);
  return largeFigures(
    await runLargeBatch({ folder: defaultModel(folders), texts, rows, say, lifecycle }),
  );
}

/** As `bench/main.ts`: the exit code says whether it ran, not whether targets were met. */
function readArguments(): { rows: number; short: boolean; json: string | undefined } {
  const options = {
    rows: { type: 'string', default: '10000000' },
    short: { type: 'boolean', default: false },
    json: { type: 'string' },
  } as const;
  try {
    const { values } = parseArgs({ options });
    const rows = Number(values.rows);
    if (!Number.isSafeInteger(rows) || rows < 1) throw new Error('--rows is a whole number');
    return { rows, short: values.short, json: values.json };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.error('npm run bench:bulk -- [--rows N] [--short] [--json FILE]');
    process.exit(2);
  }
}
