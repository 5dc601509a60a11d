import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelFolder } from '@headrace/shared/manifests.ts';
import { createTokenizer } from '../apps/worker/src/inference/tokenizer/tokenizer.ts';
import type { Document } from './documents.ts';

/** A text with its ids for one model; `tokens` counts them. */
export interface EncodedDocument extends Document {
  ids: Int32Array;
}

/** @returns a function that gives the ids of a text as the model's worker would run it */
export async function openEncoder(
  { manifest, dir }: ModelFolder,
  maxTokens: number = manifest.max_tokens,
): Promise<(text: string) => Int32Array> {
  const json = await readFile(join(dir, 'tokenizer.json'), 'utf8');
  const wantsTypeIds = manifest.inputs.includes('token_type_ids');
  const tokenizer = createTokenizer(json, { wantsTypeIds });
  return (text) => {
    const row = tokenizer.encode({ text, text_pair: null }, maxTokens, 'truncate');
    return row.encodings[0]?.ids ?? new Int32Array();
  };
}

export async function encodeDocuments(
  folder: ModelFolder,
  documents: readonly Document[],
): Promise<EncodedDocument[]> {
  const encode = await openEncoder(folder);
  return documents.map(({ text }) => {
    const ids = encode(text);
    return { text, ids, tokens: ids.length };
  });
}
