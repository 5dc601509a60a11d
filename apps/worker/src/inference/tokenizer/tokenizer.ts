import { AppError } from '@headrace/shared/errors.ts';
import type { RowInput, TextRow } from '@headrace/shared/queues.ts';
import type { Overflow } from '@headrace/shared/tasks/task.ts';
import type { Encoding, TokenizedRow } from '../encoding.ts';
import { createLibrary, type Library } from './library.ts';
import { fixNormalizer } from './normalizer.ts';
import { fillTemplate, readTemplates, type Template, withoutSpecials } from './template.ts';
import {
  type Cut,
  cutText,
  fitPair,
  type PairTruncation,
  readableCharacters,
  spreadChunks,
} from './truncate.ts';
import { speedUpWordPiece } from './word-piece.ts';

/** The tokenizer of one model. */
export interface Tokenizer {
  /**
   * The ids of one row, each encoding at most `maxTokens` long with all its special tokens.
   *
   * First the text, and the pair's second text, are cut to 16 × `maxTokens` characters; whatever a
   * caller sends, no more than that is looked at, and a row that lost characters is `truncated`.
   * Then `overflow` decides about tokens that are too many:
   * - `truncate` drops them from the end;
   * - `error` refuses the row, also if it has too many characters;
   * - `chunk` makes several encodings, see `spreadChunks`. A single text (of a pair, the second) is
   *   then cut only at 100,000 characters, the limit of the API, so a row has at most as many
   *   encodings as that many characters need. Of a pair the first text is repeated in every
   *   encoding, at most half of the room long; what it loses makes the row `truncated`.
   *
   * Of a row of ids nothing is tokenized: special tokens are put around them, unless they have them
   * already, and `overflow` holds for them as for the tokens of a single text.
   *
   * A second text that is empty still makes the row a pair, as in the original Rust tokenizer.
   * @throws AppError `text_too_long` for `error`; `tokenizer_failed` when the library throws, or for
   *   an id that is not in the vocabulary
   */
  encode(row: RowInput, maxTokens: number, overflow: Overflow): TokenizedRow;
}

export interface TokenizerOptions {
  /** False for a model that takes no `token_type_ids`: they are not made then. */
  wantsTypeIds: boolean;
  /** Which text of a pair loses tokens. Default: `longest_first`. */
  pairTruncation?: PairTruncation;
}

/**
 * @param tokenizerJson what a `tokenizer.json` holds, parsed or not
 * @throws Error when it is not a tokenizer that the library knows
 */
export function createTokenizer(
  tokenizerJson: string | object,
  options: TokenizerOptions,
): Tokenizer {
  const json: unknown =
    typeof tokenizerJson === 'string' ? JSON.parse(tokenizerJson) : tokenizerJson;
  if (typeof json !== 'object' || json === null) throw new TypeError('not a tokenizer.json');
  const library = createLibrary(json);
  fixNormalizer(library.normalizer);
  speedUpWordPiece(library.model);
  const { single, pair } = readTemplates(library, json, options.wantsTypeIds);
  // From here on the templates do its work, and it would only copy every text's tokens.
  library.post_processor = null;
  const pairTruncation = options.pairTruncation ?? 'longest_first';
  const bare = (text: string) => library.encode(text).ids;
  const vocabulary = vocabularySize(library);

  return {
    encode(row, maxTokens, overflow) {
      if ('ids' in row) {
        checkVocabulary(row.ids, vocabulary);
        const ids = { first: withoutSpecials(row.ids, single), second: [] };
        return fitRow(
          { ...ids, cut: false, pairTruncation },
          { template: single, maxTokens, overflow },
        );
      }
      const context = { template: row.text_pair === null ? single : pair, maxTokens, overflow };
      const cut = cutRow(row, context);
      const ids = tokenize(cut, bare);
      return fitRow({ ...ids, cut: cut.cut, pairTruncation }, context);
    },
  };
}

/** One more than the highest id: that many rows the embedding matrix of the model has at least. */
function vocabularySize({ model }: Library): number {
  let highest = -1;
  for (const id of model.tokens_to_ids.values()) highest = Math.max(highest, id);
  return highest + 1;
}

/** An id beyond the embedding matrix would fail the whole tensor batch. */
function checkVocabulary(ids: number[], size: number): void {
  const at = ids.findIndex((id) => id >= size);
  if (at === -1) return;
  const message = `ids[${at}] is ${ids[at]}, but the vocabulary ends at ${size - 1}.`;
  throw new AppError('tokenizer_failed', { message });
}

interface Context {
  template: Template;
  maxTokens: number;
  overflow: Overflow;
}

interface CutRow {
  text: string;
  pair: string | null;
  /** Whether characters were lost. */
  cut: boolean;
}

function cutRow(row: TextRow, { maxTokens, overflow }: Context): CutRow {
  const paired = row.text_pair !== null;
  const first = cutText(row.text, readableCharacters(maxTokens, overflow, paired));
  const limit = readableCharacters(maxTokens, overflow, false);
  const second: Cut | null = row.text_pair === null ? null : cutText(row.text_pair, limit);
  const cut = first.cut || second?.cut === true;
  if (cut && overflow === 'error') {
    throw new AppError('text_too_long', {
      message: `The text has more than ${limit} characters, the limit for ${maxTokens} tokens.`,
    });
  }
  return { text: first.text, pair: second?.text ?? null, cut };
}

interface RowIds {
  first: number[];
  /** Empty for a single text. */
  second: number[];
}

function tokenize(row: CutRow, bare: (text: string) => number[]): RowIds {
  try {
    return { first: bare(row.text), second: row.pair === null ? [] : bare(row.pair) };
  } catch (cause) {
    throw new AppError('tokenizer_failed', { cause });
  }
}

function fitRow(
  row: RowIds & { cut: boolean; pairTruncation: PairTruncation },
  { template, maxTokens, overflow }: Context,
): TokenizedRow {
  const { first, second, cut } = row;
  const tokens = template.specials + first.length + second.length;
  if (tokens <= maxTokens) {
    return { encodings: [fillTemplate(template, first, second)], tokens, truncated: cut };
  }
  if (overflow === 'error') {
    throw new AppError('text_too_long', {
      message: `The text has ${tokens} tokens, the limit is ${maxTokens}.`,
    });
  }
  const room = maxTokens - template.specials;
  if (room < 2) {
    throw new AppError('tokenizer_failed', { message: `${maxTokens} tokens leave no room.` });
  }
  if (overflow === 'chunk') return { ...chunk(row, template, room), tokens };
  const kept = fitPair(first.length, second.length, { room, strategy: row.pairTruncation });
  const encoding = fillTemplate(template, first.slice(0, kept.first), second.slice(0, kept.second));
  return { encodings: [encoding], tokens, truncated: true };
}

function chunk(
  { first, second, cut }: RowIds & { cut: boolean },
  template: Template,
  room: number,
): { encodings: Encoding[]; truncated: boolean } {
  if (!template.paired) {
    const encodings = spreadChunks(first, room).map((ids) => fillTemplate(template, ids, []));
    return { encodings, truncated: cut };
  }
  const half = Math.floor(room / 2);
  const kept = first.slice(0, half);
  const encodings = spreadChunks(second, room - kept.length).map((ids) =>
    fillTemplate(template, kept, ids),
  );
  return { encodings, truncated: cut || first.length > half };
}
