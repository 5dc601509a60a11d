import {
  type BatchDefinition,
  type BatchError,
  neverPlanned,
  type StoredBatch,
} from '@headrace/shared/bulk/batch.ts';
import { planBlobKey } from '@headrace/shared/bulk/batch-blobs.ts';
import { inputFailure } from '@headrace/shared/bulk/batch-failures.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { encodePlan } from '@headrace/shared/bulk/chunk-plan.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { startInterval } from '@headrace/shared/interval.ts';
import { FormatError } from '../formats/format-error.ts';
import { cleanUp } from './clean-up.ts';
import { InputReading, type InputReadingDeps, problem } from './input-reading.ts';

export interface PlanDeps extends InputReadingDeps {
  batches: BatchStore;
  now?: () => number;
}

export interface Plan {
  run(batch: string): Promise<void>;
  /** Ends a batch whose input has ended every process that read it. */
  giveUp(batch: string): Promise<void>;
}

const MAX_DUPLICATES = 10_000;
/** How often a batch that is planned shows how far that is, and is asked whether it is wanted. */
const WATCH_MS = 500;

/** The batch has been cancelled, or has expired, while its input was read. */
class Unwanted extends Error {}

/**
 * Reads the whole input of a batch once: checks every line, finds out which model it is for, and
 * cuts it into chunks. A line that is wrong comes to the error file later; a batch without any good
 * line fails here, and says why. A second run comes to the same plan. What it has written for a
 * batch that has ended meanwhile is deleted.
 */
export function createPlan(deps: PlanDeps): Plan {
  const { batches, blobs, now = Date.now } = deps;

  /** Of the batch that this one tries again; null when all of its rows are to be read. */
  async function errorFileOf({ retry_of }: BatchDefinition): Promise<string | null> {
    if (retry_of === null) return null;
    const earlier = await batches.read(retry_of);
    if (earlier !== null && neverPlanned(earlier.state)) return null;
    if (earlier?.state.error_file_id) return earlier.state.error_file_id;
    throw new FormatError('retry_of_gone', 'The batch to be tried again does not exist any more.');
  }

  async function fail(id: string, errors: BatchError[]): Promise<void> {
    const fields = { failed_ms: now(), errors: JSON.stringify(errors) };
    await batches.move(id, { from: ['validating'], to: 'failed', fields });
  }

  /** Reads the input for as long as somebody wants it. @throws Unwanted */
  async function read(reading: InputReading, id: string): Promise<void> {
    const unwanted = new AbortController();
    const watch = async () => {
      // Before the first row is read, whatever the batch waits for may be still missing.
      if (reading.total === 0) return;
      if (!(await batches.planning(id, reading.total))) unwanted.abort(new Unwanted());
    };
    // Redis is away: the reading goes on, and what it has come to is recorded when it is back.
    const stop = startInterval(WATCH_MS, watch, () => {});
    try {
      await reading.run(unwanted.signal);
    } finally {
      await stop();
    }
  }

  /** Stores the plan and has the batch run, or says why there is none. */
  async function commit(id: string, reading: InputReading, dryRun: boolean): Promise<void> {
    const { model, total, good } = reading;
    if (model === null || good === 0) return fail(id, reading.problems);
    const duplicates = reading.ids.lines(MAX_DUPLICATES);
    if (duplicates.length === MAX_DUPLICATES) return fail(id, [tooManyDuplicates()]);
    const all = reading.cutter.chunks;
    const chunks = dryRun ? sampled(all) : all;
    await blobs.put(planBlobKey(id), bytesOf(encodePlan(chunks, duplicates)));
    const fields = {
      ...{ model, total, chunks: chunks.length, in_progress_ms: now() },
      invalid: total - good,
      ...{ staged: reading.staged ? 1 : 0, columns: JSON.stringify(reading.columns) },
      ...(reading.version === null ? {} : { input_version: reading.version }),
    };
    await batches.move(id, { from: ['validating'], to: 'in_progress', fields });
  }

  async function plan(batch: StoredBatch): Promise<void> {
    const { definition } = batch;
    const { id } = definition;
    let reading: InputReading | null = null;
    try {
      reading = new InputReading(deps, batch, await errorFileOf(definition));
      await read(reading, id);
      await commit(id, reading, definition.dry_run);
    } catch (error) {
      if (error instanceof Unwanted) return;
      const known = fatal(error, definition);
      if (known === null) throw error;
      await fail(id, [known]);
    } finally {
      reading?.ids.dispose();
    }
  }

  return {
    async run(id) {
      const batch = await batches.read(id);
      if (batch?.state.status === 'validating') await plan(batch);
      await cleanUp(deps, id);
    },
    giveUp: (id) => fail(id, [problem('input_unreadable', UNREADABLE)]),
  };
}

const UNREADABLE = 'Every process that read the input has ended by it; the file is likely broken.';

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
