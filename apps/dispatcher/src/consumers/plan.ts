import { BlobError, type BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import type { BatchDefinition, BatchError } from '@headrace/shared/bulk/batch.ts';
import { planBlobKey } from '@headrace/shared/bulk/batch-blobs.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { ChunkCutter, encodePlan } from '@headrace/shared/bulk/chunk-plan.ts';
import { DuplicateIds } from '@headrace/shared/bulk/duplicate-ids.ts';
import { readInput } from '@headrace/shared/bulk/input.ts';
import type { Line } from '@headrace/shared/bulk/lines.ts';
import { oneModel } from '@headrace/shared/bulk/one-model.ts';
import { parseRequestLine } from '@headrace/shared/bulk/request-line.ts';
import type { ModelCatalogue } from '@headrace/shared/model-catalogue.ts';

export interface PlanDeps {
  batches: BatchStore;
  blobs: BlobStore;
  models: ModelCatalogue;
  chunkRows: number;
  chunkBytes: number;
  now?: () => number;
}

/** Problems that a batch shows; the rest only count. */
const MAX_SHOWN = 100;
const MAX_DUPLICATES = 10_000;

/**
 * Reads the whole input of a batch once: checks every line, finds out which model it is for, and
 * cuts it into chunks. A line that is wrong comes to the error file later; a batch without any good
 * line fails here, and says why. A second run comes to the same plan.
 */
export function createPlan(deps: PlanDeps): (id: string) => Promise<void> {
  const now = deps.now ?? Date.now;

  async function fail(id: string, errors: BatchError[]): Promise<void> {
    const fields = { failed_ms: now(), errors: JSON.stringify(errors) };
    await deps.batches.move(id, { from: ['validating'], to: 'failed', fields });
  }

  return async (id) => {
    const batch = await deps.batches.read(id);
    if (batch?.state.status !== 'validating') return;
    const reading = new Reading(deps, batch.definition);
    try {
      await reading.run();
      const { model, total } = reading;
      if (model === null) return await fail(id, reading.problems);
      const duplicates = reading.ids.lines(MAX_DUPLICATES);
      if (duplicates.length === MAX_DUPLICATES) return await fail(id, [tooManyDuplicates()]);
      const plan = encodePlan(reading.cutter.chunks, duplicates);
      await deps.blobs.put(planBlobKey(id), bytesOf(plan));
      const chunks = reading.cutter.chunks.length;
      const fields = { model, total, chunks, in_progress_ms: now() };
      await deps.batches.move(id, { from: ['validating'], to: 'in_progress', fields });
    } catch (error) {
      if (!(error instanceof BlobError) || error.reason !== 'missing') throw error;
      await fail(id, [problem('input_file_gone', 'The input file does not exist any more.')]);
    } finally {
      reading.ids.dispose();
    }
  };
}

/** One pass over the input. */
class Reading {
  readonly cutter: ChunkCutter;
  readonly ids = new DuplicateIds();
  readonly problems: BatchError[] = [];
  model: string | null = null;
  total = 0;
  readonly #deps: PlanDeps;
  readonly #definition: BatchDefinition;
  readonly #resolve: ReturnType<typeof oneModel>;

  constructor(deps: PlanDeps, definition: BatchDefinition) {
    this.#deps = deps;
    this.#definition = definition;
    this.cutter = new ChunkCutter({ maxRows: deps.chunkRows, maxBytes: deps.chunkBytes });
    this.#resolve = oneModel(deps.models, () => this.model);
  }

  async run(): Promise<void> {
    for await (const lines of readInput(this.#deps.blobs, this.#definition)) {
      for (const line of lines) this.#take(line);
    }
    if (this.total === 0) this.problems.push(problem('empty_file', 'The file has no requests.'));
  }

  #take(line: Line): void {
    this.total += 1;
    this.cutter.add(line);
    const { endpoint } = this.#definition;
    const parsed = parseRequestLine(line, { endpoint, resolve: this.#resolve });
    if (parsed.origin.customId !== null) this.ids.add(parsed.origin.customId, line.number);
    if (!('error' in parsed)) {
      this.model ??= parsed.model;
    } else if (this.problems.length < MAX_SHOWN) {
      const { code, message, param } = parsed.error;
      this.problems.push({ code, message, param, line: line.number });
    }
  }
}

function tooManyDuplicates(): BatchError {
  const message = `${MAX_DUPLICATES} lines or more have the custom_id of an earlier line.`;
  return { ...problem('duplicate_custom_id', message), param: 'custom_id' };
}

function problem(code: string, message: string): BatchError {
  return { code, message, param: null, line: null };
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
