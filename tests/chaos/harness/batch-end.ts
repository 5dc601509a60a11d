import type { Batch, Client } from '@headrace/client';

/** A batch as it is when it has ended. */
export async function endOfBatch({ batches }: Client, id: string): Promise<Batch> {
  let last: Batch | null = null;
  for await (const batch of batches.watch(id)) last = batch;
  if (last === null) throw new Error(`${id} has no end`);
  return last;
}
