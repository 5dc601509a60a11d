import { batchView } from '@headrace/shared/bulk/batch.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import type { DeliveryState } from '@headrace/shared/webhooks/delivery.ts';

/**
 * What tells of the end of a batch, made of the batch as it stands, which no longer changes; null
 * when that is gone.
 */
export async function batchBody(
  batches: BatchStore,
  { of, type, created_ms }: DeliveryState,
): Promise<string | null> {
  const batch = await batches.read(of);
  if (batch === null) return null;
  // An estimate of time depends on the workers of the moment; the API gives it.
  const data = batchView(batch, { nowMs: created_ms, tokensPerSecond: () => 0 });
  return JSON.stringify({ type, timestamp: new Date(created_ms).toISOString(), data });
}
