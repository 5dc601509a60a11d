import { Lifecycle } from '@headrace/shared/lifecycle.ts';
import type { ModelFolder } from '@headrace/shared/manifests.ts';
import { bulkAgainstRaw } from './bulk/against-raw.ts';
import { bulkNullEngine } from './bulk/against-tokenizer.ts';
import { bulkInteractive } from './bulk/interactive.ts';
import { capacityMemory, capacitySpeed } from './capacity.ts';
import { type Document, makeDocuments, SPREAD } from './documents.ts';
import { openEncoder } from './encode.ts';
import { idleMinilm, idleOverhead } from './idle.ts';
import { nullEngine } from './null-engine.ts';
import { overview } from './overview.ts';
import { type Figure, findModel, type Part } from './part.ts';
import { readiness } from './ready.ts';
import { saturationOf } from './saturation.ts';
import { mean, median } from './statistics.ts';
import { submitInProcess } from './submit.ts';
import { submitOverHttp } from './submit-http.ts';

/** By the names that `--only` takes, in the order in which they run. */
export const PARTS = {
  http_minilm: saturationOf('minilm'),
  http_sentiment: saturationOf('sentiment'),
  bulk_minilm: bulkAgainstRaw('minilm'),
  bulk_sentiment: bulkAgainstRaw('sentiment'),
  null_engine: nullEngine,
  bulk_null_engine: bulkNullEngine,
  bulk_interactive: bulkInteractive,
  idle: idleOverhead,
  idle_minilm: idleMinilm,
  submit: submitInProcess,
  submit_http: submitOverHttp,
  ready: readiness,
  overview,
  capacity_speed: capacitySpeed,
  capacity_memory: capacityMemory,
} as const satisfies Record<string, Part>;

export type PartName = keyof typeof PARTS;

export function isPartName(name: string): name is PartName {
  return Object.hasOwn(PARTS, name);
}

interface BenchmarkOptions {
  parts: readonly PartName[];
  models: readonly ModelFolder[];
  quick: boolean;
  say: (line: string) => void;
  /** Told of what each part starts, so that a signal can stop it. */
  onLifecycle: (lifecycle: Lifecycle) => void;
}

interface BenchmarkResult {
  figures: Figure[];
  failures: { part: string; reason: string }[];
}

const STOP_DEADLINE_MS = 60_000;

/** Runs the parts one after the other; what fails stops no other. */
export async function benchmark(options: BenchmarkOptions): Promise<BenchmarkResult> {
  const { models, quick, say } = options;
  const documents = await makeOwnDocuments(models);
  say(spreadOf(documents));
  const figures: Figure[] = [];
  const failures: BenchmarkResult['failures'] = [];
  for (const part of options.parts) {
    const lifecycle = new Lifecycle((name, error) => say(`${name} could not be stopped: ${error}`));
    options.onLifecycle(lifecycle);
    try {
      figures.push(...(await PARTS[part]({ documents, models, quick, say, lifecycle })));
    } catch (error) {
      failures.push({ part, reason: error instanceof Error ? error.message : String(error) });
      say(`${part} failed: ${error instanceof Error ? error.stack : error}`);
    } finally {
      await lifecycle.stop(STOP_DEADLINE_MS);
    }
  }
  return { figures: [...figures, ...worstPadding(figures)], failures };
}

/** The documents are made for the tokenizer of minilm. */
export async function makeOwnDocuments(models: readonly ModelFolder[]): Promise<Document[]> {
  const folder = findModel(models, 'minilm');
  if (folder === undefined) throw new Error('the documents need the tokenizer of models/minilm');
  const encode = await openEncoder(folder, Number.MAX_SAFE_INTEGER);
  return makeDocuments((text) => encode(text).length);
}

function spreadOf(documents: readonly Document[]): string {
  const tokens = documents.map((document) => document.tokens);
  const classes = SPREAD.map(({ from, to }) => {
    const count = tokens.filter((length) => length >= from && length <= to).length;
    return `${from}–${to}: ${count}`;
  });
  const middle = `mean ${mean(tokens).toFixed(1)}, median ${median(tokens)}`;
  const longest = `max ${Math.max(...tokens)}`;
  return `${tokens.length} documents, tokens ${middle}, ${longest}; ${classes.join(', ')}`;
}

/** One promise holds for every model. */
function worstPadding(figures: readonly Figure[]): Figure[] {
  const paddings = figures.filter(({ name }) => /^http_.*\.padding_ratio$/.test(name));
  const worst = paddings.toSorted((a, b) => b.value - a.value)[0];
  return worst === undefined ? [] : [{ ...worst, name: 'padding_ratio' }];
}
