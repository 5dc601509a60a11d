import { readFileSync } from 'node:fs';
import { AppError } from '@headrace/shared/errors.ts';
import type { TokenizedRow } from '../encoding.ts';
import type { ThreadRow, TokenizerSpec } from './thread-protocol.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';

/** The tokenizers that one thread has loaded, by model. */
export class LoadedTokenizers {
  readonly #models = new Map<string, { tokenizer: Tokenizer; maxTokens: number }>();

  /** @throws Error when the file is missing or no tokenizer that the library knows */
  load(model: string, spec: TokenizerSpec): void {
    const tokenizer = createTokenizer(readFileSync(spec.path, 'utf8'), spec);
    this.#models.set(model, { tokenizer, maxTokens: spec.maxTokens });
  }

  /** @throws AppError `text_too_long`, `tokenizer_failed` or `model_not_found` */
  encode(row: ThreadRow): TokenizedRow {
    const model = this.#models.get(row.model);
    if (model === undefined) throw new AppError('model_not_found');
    try {
      return model.tokenizer.encode(row.input, model.maxTokens, row.overflow);
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw new AppError('tokenizer_failed', { cause: error });
    }
  }
}
