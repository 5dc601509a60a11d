import type { Preview } from './preview.ts';

const TEXT =
  /^(text|review|comment|content|body|message|sentence|document|feedback|description|title|input)s?$/i;
const TEXT_PART = /(text|review|comment|content|message|feedback|body)/i;
const ID = /^(id|uuid|key|custom_id|row_id)$|_id$|Id$/;

/** Which column holds the text, and which one the id: by its name, else by what is in it. */
export function guessColumns({ columns, rows }: Pick<Preview, 'columns' | 'rows'>): {
  text: string;
  id: string | null;
} {
  const names = columns ?? [];
  const id = names.find((name) => ID.test(name)) ?? null;
  const others = names.filter((name) => name !== id);
  const longest = others
    .map((name) => ({ name, length: meanLength(rows, names.indexOf(name)) }))
    .sort((a, b) => b.length - a.length)[0];
  const text =
    others.find((name) => TEXT.test(name)) ??
    others.find((name) => TEXT_PART.test(name)) ??
    longest?.name ??
    names[0];
  return { text: text ?? 'text', id };
}

function meanLength(rows: string[][], at: number): number {
  const lengths = rows.map((row) => (Number.isNaN(Number(row[at])) ? (row[at] ?? '').length : 0));
  return lengths.reduce((sum, n) => sum + n, 0) / Math.max(1, lengths.length);
}
