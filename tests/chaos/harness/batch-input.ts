import { createTexts } from './texts.ts';

/** Every so many rows there is one that fails. */
const EMPTY_EVERY = 997;

/** Documents as CSV: most can be scored, some cells need quotes, and a few rows have no text. */
export function csvDocuments(rows: number, seed: number): string {
  const next = createTexts(seed);
  const lines = Array.from({ length: rows }, (_, i) => `r${i},${cell(i, next())}\n`);
  return `id,review\n${lines.join('')}`;
}

function cell(i: number, text: string): string {
  if (i % EMPTY_EVERY === EMPTY_EVERY - 1) return '';
  return i % 100 === 7 ? `"${text}, ""indeed""\nand more"` : text;
}

/** What is asked of a batch of them. */
export const SCORING = {
  documents: { format: 'csv', text: 'review', id: 'id' },
  output: { format: 'jsonl' },
};
