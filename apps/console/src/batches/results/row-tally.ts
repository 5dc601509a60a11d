import type { RowOutput } from '@headrace/client';

/** What the answers of many rows look like together. */
export interface Tally {
  rows: number;
  failed: number;
  /** Best labels, most frequent first. */
  labels: { label: string; count: number }[];
  /** Scores of the best labels, in equal steps from 0 to 1. */
  scores: number[];
  vectors: number;
}

const STEPS = 20;
/** Of models with very many labels, the first so many are counted. */
const MOST_LABELS = 1_000;

export class RowTally {
  #rows = 0;
  #failed = 0;
  #vectors = 0;
  readonly #labels = new Map<string, number>();
  readonly #scores: number[] = Array(STEPS).fill(0);

  get rows(): number {
    return this.#rows;
  }

  /** @param row a line of the output, of documents or of requests */
  add(row: unknown): void {
    this.#rows += 1;
    const best = bestLabel(row);
    if (best === 'vector') this.#vectors += 1;
    else if (best === null) this.#failed += 1;
    else this.#count(best);
  }

  read(): Tally {
    const labels = [...this.#labels].map(([label, count]) => ({ label, count }));
    labels.sort((a, b) => b.count - a.count);
    return {
      ...{ rows: this.#rows, failed: this.#failed, vectors: this.#vectors, labels },
      scores: [...this.#scores],
    };
  }

  #count({ label, score }: Scored): void {
    if (this.#labels.size < MOST_LABELS || this.#labels.has(label)) {
      this.#labels.set(label, (this.#labels.get(label) ?? 0) + 1);
    }
    const step = Math.min(STEPS - 1, Math.max(0, Math.floor(score * STEPS)));
    this.#scores[step] = (this.#scores[step] ?? 0) + 1;
  }
}

interface Scored {
  label: string;
  score: number;
}

function bestLabel(row: unknown): Scored | 'vector' | null {
  if (!isRecord(row)) return null;
  const output = outputOf(row);
  if (output !== null) {
    if (output.embedding !== undefined) return 'vector';
    return output.labels?.[0] ?? null;
  }
  // The answer's columns stand last: label and score, or a list of labels, or a vector.
  const [label, score] = Object.values(row).slice(-4);
  if (typeof label === 'string' && typeof score === 'number') return { label, score };
  if (!Array.isArray(score)) return null;
  const [first]: unknown[] = score;
  if (typeof first === 'number') return 'vector';
  if (!isRecord(first) || typeof first.label !== 'string') return null;
  return typeof first.score === 'number' ? { label: first.label, score: first.score } : null;
}

/** Of a line that answers a request. */
function outputOf(row: Record<string, unknown>): RowOutput | null {
  const { response } = row;
  if (!isRecord(response) || !isRecord(response.body)) return null;
  const { body } = response;
  const [first]: RowOutput[] = Array.isArray(body.output) ? body.output : [];
  if (first !== undefined) return first;
  const isVectors = Array.isArray(body.data);
  return isVectors ? { tokens: 0, truncated: false, embedding: [] } : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
