import type { Model } from '@headrace/client';
import { api } from '../session/session.ts';

/** The last look is at all ends of words, or of characters, that are so near. */
const NEAR = { words: 4, characters: 24 };
/** The tokenizer looks at so many characters of a text for each token that the model takes. */
const CHARACTERS_PER_TOKEN = 16;
/** Characters as people count them: with their accents, and whole emoji. */
export const characters = new Intl.Segmenter('en', { granularity: 'grapheme' });

export interface Search {
  model: Model;
  text: string;
  /** Of as much of it as the tokenizer looks at. */
  tokens: number;
  signal: AbortSignal;
}

/** A beginning of the text. */
interface Beginning {
  /** Where it ends, in UTF-16 units. */
  end: number;
  tokens: number;
}

/**
 * By words first, since a beginning that ends within one may have more tokens than one that ends
 * after it; then by characters within the word where it was cut.
 * @returns how much of a text that was cut is seen, in UTF-16 units
 */
export async function findCut(search: Search): Promise<number> {
  const { text, model } = search;
  const most = Math.min(text.length - 1, CHARACTERS_PER_TOKEN * model.max_tokens);
  const words = [...text.matchAll(/\S+/g)].map((word) => word.index + word[0].length);
  const whole = words.filter((end) => end <= most);
  const seen = await longestSeen(search, { ends: whole, near: NEAR.words, from: NOTHING });
  if (seen.tokens === model.max_tokens) return seen.end;
  const next = words.find((end) => end > seen.end) ?? text.length;
  const rest = text.slice(seen.end, Math.min(next, most + 1));
  const starts = [...characters.segment(rest)].map(({ index }) => seen.end + index);
  // No beginning may be blank.
  const ends = starts.filter((at) => at > Math.max(seen.end, text.search(/\S/)));
  return (await longestSeen(search, { ends, near: NEAR.characters, from: seen })).end;
}

const NOTHING: Beginning = { end: 0, tokens: 0 };

interface Places {
  /** Where beginnings may end, in order. */
  ends: number[];
  near: number;
  /** One before them that is not cut. */
  from: Beginning;
}

/** The longest beginning that is not cut. */
async function longestSeen(search: Search, { ends, near, from }: Places): Promise<Beginning> {
  let seen = { ...from, at: -1 };
  let cut = { at: ends.length, tokens: search.tokens };
  while (cut.at - seen.at > 1) {
    const isLast = cut.at - seen.at - 1 <= near;
    // Also beyond the first that is cut: a beginning of a word may have more tokens than the word.
    const places = isLast
      ? Array.from({ length: near }, (_, i) => seen.at + 1 + i).filter((at) => at < ends.length)
      : likelyPlaces(seen, cut, search.model.max_tokens);
    const tried = await run(
      search,
      places.map((at) => ({ at, end: ends[at] ?? 0 })),
    );
    const last = tried.findLastIndex(({ truncated }) => !truncated);
    seen = tried[last] ?? seen;
    if (isLast) break;
    cut = tried[last + 1] ?? cut;
  }
  return seen;
}

interface Place {
  at: number;
  tokens: number;
}

/** Around where it is cut if all words are alike, and half way, which makes an end of it anyhow. */
function likelyPlaces(seen: Place, cut: Place, maxTokens: number): number[] {
  const distance = cut.at - seen.at;
  const share = (maxTokens - seen.tokens) / Math.max(1, cut.tokens - seen.tokens);
  const guess = seen.at + Math.min(1, share) * distance;
  const around = Math.max(1, distance / 16);
  const places = [guess - around, guess + around, seen.at + distance / 2].map(Math.round);
  const inside = places.filter((at) => at > seen.at && at < cut.at);
  return [...new Set(inside)].sort((a, b) => a - b);
}

/** Runs beginnings of the text in one job. */
async function run<T extends { end: number }>({ model, text, signal }: Search, tried: T[]) {
  const input = tried.map(({ end }) => text.slice(0, end));
  const { id } = await api().jobs.submit({ model: model.id, input }, { signal });
  const { output } = await api().jobs.wait(id, { signal });
  if (output === null || output.some(({ error }) => error !== undefined)) {
    throw new Error('A beginning of the text could not be run.');
  }
  return tried.flatMap((one, i) => output.slice(i, i + 1).map((row) => ({ ...row, ...one })));
}
