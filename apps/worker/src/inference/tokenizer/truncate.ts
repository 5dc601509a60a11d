import type { Overflow } from '@headrace/shared/tasks/task.ts';

/** Which text of a pair loses tokens: the one that has more, or the second. */
export type PairTruncation = 'longest_first' | 'only_second';

/** A token is rarely longer, and what follows would be dropped anyway. */
const CHARACTERS_PER_TOKEN = 16;
/** The API's limit of a text, which holds for bulk rows too. */
const CHUNKED_CHARACTERS = 100_000;
/** Neighbouring chunks share at least this part of a chunk. */
const OVERLAP = 1 / 8;

/**
 * How many characters of a text are looked at. Only a text that will be chunked is read beyond
 * 16 × `maxTokens`: a single one, or the second of a pair.
 * @param repeated whether this is the first text of a pair
 */
export function readableCharacters(
  maxTokens: number,
  overflow: Overflow,
  repeated: boolean,
): number {
  const capped = CHARACTERS_PER_TOKEN * maxTokens;
  return overflow === 'chunk' && !repeated ? Math.max(CHUNKED_CHARACTERS, capped) : capped;
}

export interface Cut {
  text: string;
  cut: boolean;
}

/** The first `characters` UTF-16 units of a text, or one less where that would halve a character. */
export function cutText(text: string, characters: number): Cut {
  if (text.length <= characters) return { text, cut: false };
  const halves = isHighSurrogate(text, characters - 1) && isLowSurrogate(text, characters);
  return { text: text.slice(0, halves ? characters - 1 : characters), cut: true };
}

function isHighSurrogate(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xd800;
}

function isLowSurrogate(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xdc00;
}

/**
 * How many tokens of each text to keep so that both have room. `longest_first` as the original
 * Rust tokenizer does it: the shorter text is kept whole if it takes at most half of the room, else
 * both get half, and the longer one (the second, if equal) the odd token. `only_second` cuts the
 * first text only where it alone has no room.
 */
export function fitPair(
  first: number,
  second: number,
  { room, strategy }: { room: number; strategy: PairTruncation },
): { first: number; second: number } {
  if (first + second <= room) return { first, second };
  if (strategy === 'only_second') {
    const kept = Math.min(first, room);
    return { first: kept, second: room - kept };
  }
  const shorter = Math.min(first, second, Math.floor(room / 2));
  const longer = room - shorter;
  return first <= second ? { first: shorter, second: longer } : { first: longer, second: shorter };
}

/**
 * Cuts ids into as few windows of `window` ids as cover all of them with an overlap of an eighth of
 * a window. They start at even distances, so all are equally long and weigh the same in a mean.
 */
export function spreadChunks(ids: number[], window: number): number[][] {
  const spare = ids.length - window;
  if (spare <= 0) return [ids];
  const stride = window - Math.floor(window * OVERLAP);
  const gaps = Math.ceil(spare / stride);
  return Array.from({ length: gaps + 1 }, (_, i) => {
    const start = Math.floor((i * spare) / gaps);
    return ids.slice(start, start + window);
  });
}
