import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import { batchPrefix } from '@headrace/shared/bulk/batch-blobs.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { type FileStore, fileBlobKey } from '@headrace/shared/files.ts';

interface SweepDeps {
  files: FileStore;
  blobs: BlobStore;
  now?: () => number;
}

const FILES_A_STEP = 100;
const BATCHES_A_STEP = 100;

/**
 * Deletes the content of files that have expired, were deleted, or never became files because an
 * upload broke off. Several dispatchers may do it at once.
 * @returns how many
 * @throws BlobError, when the store refuses: what is left comes with the next call
 */
export function createSweep({ files, blobs, now = Date.now }: SweepDeps): () => Promise<number> {
  return async () => {
    let swept = await blobs.sweep(now());
    for (;;) {
      const due = await files.due(now(), FILES_A_STEP);
      for (const file of due) {
        await blobs.delete(fileBlobKey(file.id));
        await files.forget(file);
      }
      swept += due.length;
      if (due.length < FILES_A_STEP) return swept;
    }
  };
}

interface PartsSweepDeps {
  batches: BatchStore;
  blobs: BlobStore;
  now?: () => number;
}

/**
 * Deletes the plans and parts of batches that ended a while ago, also those parts that never
 * counted because their worker died.
 * @throws BlobError, when the store refuses: what is left comes with the next call
 */
export function createPartsSweep(deps: PartsSweepDeps): () => Promise<void> {
  const { batches, blobs, now = Date.now } = deps;
  return async () => {
    for (const id of await batches.ended(now(), BATCHES_A_STEP)) {
      await blobs.deleteAll(batchPrefix(id));
      await batches.forgetParts(id);
    }
  };
}
