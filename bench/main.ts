import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { readModelsDir } from '@headrace/shared/manifests.ts';
import { benchmark, isPartName, PARTS, type PartName } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import { renderJson, renderTable } from './report.ts';
import { TARGETS } from './targets.ts';

const MODELS = fileURLToPath(new URL('../models', import.meta.url));
const INTERRUPT_DEADLINE_MS = 15_000;

const { only, json, quick } = readArguments();
const machine = describeMachine();
const { folders } = await readModelsDir(MODELS);
let running: Lifecycle | null = null;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    const stopped = running?.stop(INTERRUPT_DEADLINE_MS) ?? Promise.resolve();
    void stopped.finally(() => process.exit(1));
  });
}

const { figures, failures } = await benchmark({
  parts: only,
  models: folders,
  quick,
  say: (line) => console.error(line),
  onLifecycle: (lifecycle) => {
    running = lifecycle;
  },
});
const report = { figures, machine, quick, failures, targets: TARGETS };
console.log(`\n${renderTable(report)}`);
if (json !== undefined) await writeFile(json, renderJson(report));
process.exit(failures.length > 0 ? 1 : 0);

/** A missed target is a finding, not a failure: the exit code says only whether all parts ran. */
function readArguments(): { only: PartName[]; json: string | undefined; quick: boolean } {
  const options = {
    only: { type: 'string' },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
  } as const;
  const names = Object.keys(PARTS);
  try {
    const { values } = parseArgs({ options });
    const wanted = values.only?.split(',') ?? names;
    const unknown = wanted.find((name) => !isPartName(name));
    if (unknown !== undefined) throw new Error(`There is no part ${unknown}`);
    return { only: wanted.filter(isPartName), json: values.json, quick: values.quick };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.error(`npm run bench -- [--only ${names.join(',')}] [--json FILE] [--quick]`);
    process.exit(2);
  }
}
