/** Everything that a batch keeps in the blob store besides its files. */
export function batchPrefix(id: string): string {
  return `batches/${id}/`;
}

export function planBlobKey(id: string): string {
  return `${batchPrefix(id)}plan.json`;
}

/** The rows of the input, where they had to be written anew. */
export function stagedBlobKey(id: string): string {
  return `${batchPrefix(id)}input`;
}

/** Which run of a chunk wrote it is part of the key: a late one never overwrites another's. */
export function partBlobKey(
  id: string,
  { index, run, kind }: { index: number; run: string; kind: 'output' | 'errors' },
): string {
  return `${batchPrefix(id)}parts/${index}-${run}.${kind}.jsonl`;
}
