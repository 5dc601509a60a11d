import { text } from 'node:stream/consumers';
import { BlobError, type BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import { planBlobKey } from '@headrace/shared/bulk/batch-blobs.ts';
import { type ChunkPlan, decodePlan } from '@headrace/shared/bulk/chunk-plan.ts';

/** The plans of live batches, read once each. */
export interface BatchPlans {
  /** @returns null when the batch has no plan (yet) */
  read(id: string): Promise<ChunkPlan | null>;
  /** Forgets the plans of all other batches. */
  keepOnly(ids: string[]): void;
}

export function createBatchPlans(blobs: BlobStore): BatchPlans {
  const plans = new Map<string, ChunkPlan>();
  return {
    async read(id) {
      const known = plans.get(id);
      if (known !== undefined) return known;
      try {
        const plan = decodePlan(await text(await blobs.read(planBlobKey(id))));
        plans.set(id, plan);
        return plan;
      } catch (error) {
        if (error instanceof BlobError && error.reason === 'missing') return null;
        throw error;
      }
    },
    keepOnly(ids) {
      for (const id of plans.keys()) if (!ids.includes(id)) plans.delete(id);
    },
  };
}
