import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import { isTerminal } from '@headrace/shared/bulk/batch.ts';
import { planBlobKey, stagedBlobKey } from '@headrace/shared/bulk/batch-blobs.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';

interface CleanUpDeps {
  batches: BatchStore;
  blobs: BlobStore;
}

/**
 * Deletes what planning has written for a batch that ended meanwhile: its parts may have been swept
 * before that was there. Does nothing for any other batch.
 */
export async function cleanUp({ batches, blobs }: CleanUpDeps, id: string): Promise<void> {
  const batch = await batches.read(id);
  if (batch !== null && !isTerminal(batch.state.status)) return;
  await blobs.delete(stagedBlobKey(id));
  await blobs.delete(planBlobKey(id));
}
