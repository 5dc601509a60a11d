import { seededRandom } from '../tests/helpers/engines.ts';
import { WORDS } from './words.ts';

export interface Document {
  text: string;
  /** As the tokenizer that the documents were made for counts them, special tokens included. */
  tokens: number;
}

/** Documents by token length, bounds included: those of 4,000 real English texts. */
export const SPREAD = [
  { from: 8, to: 15, documents: 505 },
  { from: 16, to: 31, documents: 1_462 },
  { from: 32, to: 63, documents: 906 },
  { from: 64, to: 127, documents: 727 },
  { from: 128, to: 256, documents: 400 },
] as const;

const SEED = 1;
const SPECIAL_TOKENS = 2;
const SENTENCE_TOKENS = { from: 6, to: 17 };

/**
 * The same 4,000 documents in every run, in a shuffled order, whose lengths follow `SPREAD`.
 * @param countTokens tokens of a text, special tokens included
 */
export function makeDocuments(countTokens: (text: string) => number): Document[] {
  const random = seededRandom(SEED);
  const costs = new Map(WORDS.map((word) => [word, countTokens(word) - SPECIAL_TOKENS]));
  const longest = SPREAD.at(-1)?.to ?? 0;
  const lengths = SPREAD.flatMap(({ from, to, documents }) =>
    Array.from({ length: documents }, () => integerBetween(from, to, random)),
  );
  lengths.splice(-1, 1, longest);
  const documents = lengths.map((tokens) => {
    const text = makeText(tokens - SPECIAL_TOKENS, { costs, random });
    return { text, tokens: countTokens(text) };
  });
  return shuffle(documents, random);
}

/** Every n-th document by length, so that a part has the spread of the whole; order is kept. */
export function samplePart<D extends { tokens: number }>(
  documents: readonly D[],
  count: number,
): D[] {
  const step = documents.length / count;
  const byLength = documents.toSorted((a, b) => a.tokens - b.tokens);
  const picked = new Set(
    Array.from({ length: count }, (_, i) => byLength[Math.floor((i + 0.5) * step)]),
  );
  return documents.filter((document) => picked.has(document));
}

interface Vocabulary {
  /** Tokens of each word. */
  costs: Map<string, number>;
  random: () => number;
}

/** Sentences of ordinary words, `tokens` long without special tokens. */
function makeText(tokens: number, vocabulary: Vocabulary): string {
  const sentences: string[] = [];
  for (let left = tokens; left > 0; ) {
    const wanted = integerBetween(SENTENCE_TOKENS.from, SENTENCE_TOKENS.to, vocabulary.random);
    const taken = left - wanted < SENTENCE_TOKENS.from ? left : wanted;
    sentences.push(makeSentence(taken, vocabulary));
    left -= taken;
  }
  return sentences.join(' ');
}

/** Words and a full stop, `tokens` long. */
function makeSentence(tokens: number, { costs, random }: Vocabulary): string {
  const words: string[] = [];
  for (let left = tokens - 1; left > 0; ) {
    const word = WORDS[Math.floor(random() * WORDS.length)] ?? '';
    const cost = costs.get(word) ?? 1;
    if (cost > left) continue;
    words.push(word);
    left -= cost;
  }
  return `${words.join(' ')}.`;
}

/** Fisher and Yates. */
function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const shuffled = [...items];
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const moved = shuffled[last];
    const picked = shuffled[other];
    if (moved === undefined || picked === undefined) continue;
    shuffled[last] = picked;
    shuffled[other] = moved;
  }
  return shuffled;
}

function integerBetween(from: number, to: number, random: () => number): number {
  return from + Math.floor(random() * (to - from + 1));
}
