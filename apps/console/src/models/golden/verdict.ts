import type { ModelGoldenRow, RowOutput } from '@headrace/client';

export type Expected = ModelGoldenRow['expected'][number];

interface Terms {
  tolerance: number;
  /** Of a vector; null for other answers. */
  dimensions: number | null;
}

/** Whether a row's answer is the expected one, each of its numbers within the tolerance. */
export function isRight(expected: Expected, row: RowOutput, terms: Terms): boolean {
  const { tolerance, dimensions } = terms;
  const isNear = (got: number | undefined, wanted: number) =>
    got !== undefined && Math.abs(got - wanted) <= tolerance;
  if (expected.labels !== null) {
    const scores = new Map(row.labels?.map(({ label, score }) => [label, score]));
    return expected.labels.every(({ label, score }) => isNear(scores.get(label), score));
  }
  const { embedding } = row;
  if (expected.embedding === null || !Array.isArray(embedding)) return false;
  if (embedding.length !== dimensions) return false;
  return expected.embedding.every((wanted, i) => isNear(embedding[i], wanted));
}
