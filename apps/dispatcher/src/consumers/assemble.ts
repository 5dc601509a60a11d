import type { Readable } from 'node:stream';
import { BlobError, type BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import type { BatchError, BatchStatus, StoredBatch } from '@headrace/shared/bulk/batch.ts';
import { inputFailure } from '@headrace/shared/bulk/batch-failures.ts';
import { createBatchLines } from '@headrace/shared/bulk/batch-lines.ts';
import type { BatchStore, ChunkPart } from '@headrace/shared/bulk/batch-store.ts';
import type { ChunkPlan } from '@headrace/shared/bulk/chunk-plan.ts';
import { answerColumns, resultTable } from '@headrace/shared/bulk/documents.ts';
import { readChunk } from '@headrace/shared/bulk/input.ts';
import { type FileStore, fileBlobKey, fileObject } from '@headrace/shared/files.ts';
import { batchFileId } from '@headrace/shared/ids.ts';
import type { Inputs } from '@headrace/shared/inputs/index.ts';
import type { ModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import type { BatchPlans } from '../batch-plans.ts';
import { writeRows } from '../formats/write-rows.ts';

export interface AssembleDeps {
  batches: BatchStore;
  files: FileStore;
  blobs: BlobStore;
  inputs: Inputs;
  plans: BatchPlans;
  models: ModelCatalogue;
  /** How long output files are kept. */
  fileTtlS: number;
  now?: () => number;
}

const CHUNKS_A_READ = 500;
/** If the dispatcher dies, what it has written so far is deleted after this. */
const WRITE_LEASE_MS = 86_400_000;

/**
 * Rows of a table cannot be read by page from its file: they are read from the parts, which are
 * kept until whoever follows the batch has had time to come to their end.
 */
const TABLE_PARTS_KEPT_MS = 3_600_000;

type Kind = 'output' | 'errors';

/**
 * Puts the parts of a batch together, in the order of its input: one file of results, one of
 * errors. Requests that were not run are in the latter. A second run begins anew and comes to the
 * same files.
 */
export function createAssemble(deps: AssembleDeps): (id: string) => Promise<void> {
  const now = deps.now ?? Date.now;

  return async (id) => {
    const batch = await deps.batches.read(id);
    if (batch?.state.status === 'finalizing') await finish(batch);
  };

  async function finish(batch: StoredBatch): Promise<void> {
    const { id } = batch.definition;
    // A plan that was written as the batch was cancelled never came to hold.
    const isPlanned = batch.state.chunks > 0;
    const plan = isPlanned ? await deps.plans.read(id) : null;
    try {
      if (plan === null && isPlanned) throw new BlobError('missing', 'no plan');
      const output = await writeFile(deps, batch, { kind: 'output', plan, now });
      const errors = await writeFile(deps, batch, { kind: 'errors', plan, now });
      await end(batch, batch.state.outcome, {
        ...(output === null ? {} : { output_file_id: output }),
        ...(errors === null ? {} : { error_file_id: errors }),
      });
    } catch (error) {
      if (!(error instanceof BlobError) || error.reason !== 'missing') throw error;
      // Either another run has ended it, and deleted them, or the storage has lost them.
      const message = 'What the batch has come to is not in the file storage any more.';
      const lost: BatchError = { code: 'results_gone', message, param: null, line: null };
      await end(batch, 'failed', { errors: JSON.stringify([lost]) });
    }
  }

  async function end(
    { definition }: StoredBatch,
    to: BatchStatus,
    fields: Record<string, string>,
  ): Promise<void> {
    const isTable = (definition.scoring?.output.format ?? 'jsonl') !== 'jsonl';
    await deps.batches.move(definition.id, {
      ...{ from: ['finalizing'], to, fields: { ...fields, [`${to}_ms`]: now() } },
      ...(isTable ? { partsKeptMs: TABLE_PARTS_KEPT_MS } : {}),
    });
  }
}

interface Writing {
  kind: Kind;
  plan: ChunkPlan | null;
  now: () => number;
}

/** @returns the id of the file; null when it would be empty */
async function writeFile(deps: AssembleDeps, batch: StoredBatch, { kind, plan, now }: Writing) {
  if (plan === null || batch.definition.dry_run) return null;
  const { tenant, id: batchId, output_ttl_s } = batch.definition;
  const id = batchFileId(batchId, kind);
  await deps.files.reserve({ tenant, id }, now() + WRITE_LEASE_MS);
  const format = kind === 'output' ? outputFormat(deps, batch) : ERRORS_FORMAT;
  const content = writeRows(contentOf(deps, batch, { kind, plan }), format);
  const bytes = await deps.blobs.put(fileBlobKey(id), content);
  if (bytes === 0 || (kind === 'output' && batch.state.done_chunks === 0)) {
    await deps.blobs.delete(fileBlobKey(id));
    await deps.files.forget({ tenant, id });
    return null;
  }
  const about = {
    filename: `${batchId}_${kind}.${format.format}`,
    purpose: 'batch_output',
  } as const;
  const file = fileObject(
    { id, bytes },
    { ...about, expiresAfterS: output_ttl_s ?? deps.fileTtlS },
    now(),
  );
  await deps.files.save({ tenant, file });
  return id;
}

const ERRORS_FORMAT = { format: 'jsonl' as const, columns: [] };

/** What the workers' lines become. */
function outputFormat({ models }: AssembleDeps, { definition, state }: StoredBatch) {
  const { scoring } = definition;
  if (scoring === null) return ERRORS_FORMAT;
  const { documents, output } = scoring;
  const answer = answerColumns(models.resolve(scoring.model).task, scoring.parameters);
  const { columns } = resultTable({ documents, output, columns: state.columns, answer });
  return { format: output.format, columns };
}

async function* contentOf(
  deps: AssembleDeps,
  batch: StoredBatch,
  { kind, plan }: { kind: Kind; plan: ChunkPlan },
): AsyncGenerator<Uint8Array> {
  const { id } = batch.definition;
  for (let from = 0; from < plan.chunks; from += CHUNKS_A_READ) {
    const until = Math.min(plan.chunks, from + CHUNKS_A_READ);
    const parts = await deps.batches.parts(id, from, until);
    for (const [i, part] of parts.entries()) {
      if (part !== null) yield* partContent(deps.blobs, part[kind]);
      else if (kind === 'errors' || batch.state.outcome === 'completed')
        yield* notRun(deps, batch, { plan, index: from + i });
    }
  }
  // Whoever has ended the batch meanwhile has dropped the record of its parts.
  const { status } = (await deps.batches.read(id))?.state ?? {};
  if (status !== 'finalizing') throw new Error(`${id} was assembled by another one`);
}

async function* partContent(blobs: BlobStore, key: ChunkPart[Kind]): AsyncGenerator<Uint8Array> {
  if (key === null) return;
  const content: Readable = await blobs.read(key);
  yield* content;
}

/** The rows of a chunk that was not run; nothing, if the input is gone or is another one. */
async function* notRun(
  deps: AssembleDeps,
  batch: StoredBatch,
  { plan, index }: { plan: ChunkPlan; index: number },
): AsyncGenerator<Uint8Array> {
  const { definition, state } = batch;
  const code = `batch_${state.outcome}` as const;
  if (code === 'batch_completed') throw new Error(`chunk ${index} of ${definition.id} is not done`);
  const reader = createBatchLines(batch, (name) => deps.models.resolve(name));
  try {
    const chunk = plan.payload(definition.id, index);
    for await (const lines of readChunk(deps, batch, chunk)) {
      const written = lines.map((line) => {
        return reader.notRun({ line: line.number, customId: reader.idOf(line) }, code);
      });
      yield Buffer.from(written.join(''));
    }
  } catch (error) {
    if (inputFailure(error, definition) === null) throw error;
  }
}
