import { Tokenizer } from '@huggingface/tokenizers';

/**
 * What we use of the library, written down because its own declarations leave out the file endings
 * that Node's module resolution needs, and so mean `any` here.
 */
export interface Library {
  /** With special tokens, as long as there is a post-processor. */
  encode(text: string): { ids: number[] };
  token_to_id(token: string): number | undefined;
  post_processor: {
    post_process(
      tokens: string[],
      pair: string[] | null,
      addSpecialTokens: boolean,
    ): { tokens: string[]; token_type_ids?: number[] };
  } | null;
  normalizer: LibraryNormalizer | null;
  model: LibraryModel;
}

export interface LibraryNormalizer {
  config: {
    type?: string;
    clean_text?: boolean;
    handle_chinese_chars?: boolean;
    strip_accents?: boolean | null;
    lowercase?: boolean;
  };
  /** The steps of a sequence. */
  normalizers?: (LibraryNormalizer | null)[];
  normalize(text: string): string;
}

export interface LibraryModel {
  config: {
    type?: string;
    continuing_subword_prefix?: string;
    max_input_chars_per_word?: number;
  };
  tokens_to_ids: Map<string, number>;
  unk_token?: string;
  /** Words to pieces. */
  encode(words: string[]): string[];
}

/** @throws Error when the parsed `tokenizer.json` is not one that the library knows */
export function createLibrary(json: object): Library {
  return new Tokenizer(json, {});
}
