import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import { isTerminal } from '@headrace/shared/bulk/batch.ts';
import { batchPrefix } from '@headrace/shared/bulk/batch-blobs.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';

interface CleanUpDeps {
  batches: BatchStore;
  blobs: BlobStore;
}

/** Deletes what a batch kept for its way, once it has ended; does nothing before. */
export async function cleanUp({ batches, blobs }: CleanUpDeps, id: string): Promise<void> {
  const batch = await batches.read(id);
  if (batch === null || isTerminal(batch.state.status)) await blobs.deleteAll(batchPrefix(id));
}
