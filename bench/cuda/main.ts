import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { readModelsDir } from '@headrace/shared/manifests.ts';
import { cuda } from '../../apps/worker/src/inference/providers/cuda.ts';
import { makeOwnDocuments } from '../benchmark.ts';
import { bulkAgainstRaw } from '../bulk/against-raw.ts';
import { describeMachine } from '../machine.ts';
import type { Figure, Part } from '../part.ts';
import { renderJson, renderTable } from '../report.ts';
import { compareDevices } from './equal.ts';
import { CUDA_BUDGETS, sweepBudgets } from './sweep.ts';

const MODELS = fileURLToPath(new URL('../../models', import.meta.url));
const STOP_DEADLINE_MS = 60_000;

const { only, set, quick, json } = readArguments();
const setup = {
  label: 'bulk_cuda',
  sizes: {
    full: { documents: 2_000, trial: 2_000, passes: 100, rounds: 2 },
    quick: { documents: 200, trial: 100, passes: 5, rounds: 1 },
  },
  device: { provider: cuda, engines: 1, budgets: CUDA_BUDGETS },
  settings: { HEADRACE_PROVIDER: 'cuda', ...set },
};
const PARTS: Record<string, Part> = {
  equal: compareDevices,
  sweep: sweepBudgets,
  bulk_sentiment: bulkAgainstRaw('sentiment', setup),
  bulk_minilm: bulkAgainstRaw('minilm', setup),
};
const machine = describeMachine();
const say = (line: string) => console.error(line);
let running: Lifecycle | null = null;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    const stopped = running?.stop(STOP_DEADLINE_MS) ?? Promise.resolve();
    void stopped.finally(() => process.exit(1));
  });
}

const { folders: models } = await readModelsDir(MODELS);
const documents = await makeOwnDocuments(models);
const figures: Figure[] = [];
const failures: { part: string; reason: string }[] = [];
for (const [name, part] of Object.entries(PARTS)) {
  if (only !== null && !only.includes(name)) continue;
  const lifecycle = new Lifecycle((what, error) => say(`${what} could not be stopped: ${error}`));
  running = lifecycle;
  try {
    figures.push(...(await part({ documents, models, quick, say, lifecycle })));
  } catch (error) {
    say(error instanceof Error ? `${error.stack}` : String(error));
    failures.push({ part: name, reason: error instanceof Error ? error.message : String(error) });
  } finally {
    await lifecycle.stop(STOP_DEADLINE_MS);
  }
}
const report = { figures, machine, quick, failures, targets: [] };
console.log(`\n${renderTable(report)}`);
if (json !== undefined) await writeFile(json, renderJson(report));
process.exit(failures.length > 0 ? 1 : 0);

/** As `bench/main.ts`: the exit code says whether it ran. */
function readArguments() {
  const options = {
    only: { type: 'string' },
    set: { type: 'string', multiple: true },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
  } as const;
  try {
    const { values } = parseArgs({ options });
    const settings = (values.set ?? []).map((text) => {
      const [name = '', value] = text.split('=', 2);
      if (value === undefined) throw new Error(`--set ${text} is not NAME=VALUE`);
      return [name, value] as const;
    });
    const { quick, json } = values;
    return {
      only: values.only?.split(',') ?? null,
      set: Object.fromEntries(settings),
      quick,
      json,
    };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.error(
      'npm run bench:cuda -- [--only equal,sweep,bulk_sentiment,bulk_minilm] ' +
        '[--set HEADRACE_TOKENIZER_THREADS=8]… [--quick] [--json FILE]',
    );
    process.exit(2);
  }
}
