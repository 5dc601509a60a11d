import type { BatchDefinition, BatchError } from '@headrace/shared/bulk/batch.ts';
import { planBlobKey } from '@headrace/shared/bulk/batch-blobs.ts';
import { inputFailure } from '@headrace/shared/bulk/batch-failures.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { encodePlan } from '@headrace/shared/bulk/chunk-plan.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { FormatError } from '../formats/format-error.ts';
import { cleanUp } from './clean-up.ts';
import { InputReading, type InputReadingDeps, problem } from './input-reading.ts';

export interface PlanDeps extends InputReadingDeps {
  batches: BatchStore;
  now?: () => number;
}

const MAX_DUPLICATES = 10_000;

/**
 * Reads the whole input of a batch once: checks every line, finds out which model it is for, and
 * cuts it into chunks. A line that is wrong comes to the error file later; a batch without any good
 * line fails here, and says why. A second run comes to the same plan. What it has written for a
 * batch that does not go on is deleted.
 */
export function createPlan(deps: PlanDeps): (id: string) => Promise<void> {
  const now = deps.now ?? Date.now;

  /** Of the batch that this one tries again. */
  async function errorFileOf({ retry_of }: BatchDefinition): Promise<string | null> {
    if (retry_of === null) return null;
    const file = (await deps.batches.read(retry_of))?.state.error_file_id ?? null;
    if (file !== null) return file;
    throw new FormatError('retry_of_gone', 'The batch to be tried again does not exist any more.');
  }

  async function fail(id: string, errors: BatchError[]): Promise<void> {
    const fields = { failed_ms: now(), errors: JSON.stringify(errors) };
    await deps.batches.move(id, { from: ['validating'], to: 'failed', fields });
    await cleanUp(deps, id);
  }

  return async (id) => {
    const batch = await deps.batches.read(id);
    if (batch?.state.status !== 'validating') return cleanUp(deps, id);
    let reading: InputReading | null = null;
    try {
      reading = new InputReading(deps, batch, await errorFileOf(batch.definition));
      await reading.run();
      const { model, total, good } = reading;
      if (model === null || good === 0) return await fail(id, reading.problems);
      const duplicates = reading.ids.lines(MAX_DUPLICATES);
      if (duplicates.length === MAX_DUPLICATES) return await fail(id, [tooManyDuplicates()]);
      const all = reading.cutter.chunks;
      const chunks = batch.definition.dry_run ? sampled(all) : all;
      await deps.blobs.put(planBlobKey(id), bytesOf(encodePlan(chunks, duplicates)));
      const fields = {
        ...{ model, total, chunks: chunks.length, in_progress_ms: now() },
        invalid: total - good,
        ...{ staged: reading.staged ? 1 : 0, columns: JSON.stringify(reading.columns) },
        ...(reading.version === null ? {} : { input_version: reading.version }),
      };
      const moved = await deps.batches.move(id, {
        from: ['validating'],
        to: 'in_progress',
        fields,
      });
      if (!moved) await cleanUp(deps, id);
    } catch (error) {
      const known = fatal(error, batch.definition);
      if (known === null) throw error;
      await fail(id, [known]);
    } finally {
      reading?.ids.dispose();
    }
  };
}

/** Chunks that a dry run looks at. */
const SAMPLE_CHUNKS = 8;

/** Chunks at even distances; all of them if there are few. */
function sampled<T>(chunks: T[]): T[] {
  if (chunks.length <= SAMPLE_CHUNKS) return chunks;
  const middles = Array.from({ length: SAMPLE_CHUNKS }, (_, i) => (i + 0.5) / SAMPLE_CHUNKS);
  return middles.flatMap((at) => chunks[Math.floor(at * chunks.length)] ?? []);
}

/** What no second try would change; null for anything else. */
function fatal(error: unknown, definition: BatchDefinition): BatchError | null {
  if (error instanceof FormatError) {
    return { ...problem(error.code, error.message), line: error.line };
  }
  if (error instanceof AppError) {
    return { ...problem(error.code, error.message), param: error.param };
  }
  return inputFailure(error, definition);
}

function tooManyDuplicates(): BatchError {
  const message = `${MAX_DUPLICATES} lines or more have the custom_id of an earlier line.`;
  return { ...problem('duplicate_custom_id', message), param: 'custom_id' };
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
