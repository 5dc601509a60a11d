import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { TINY_MODELS } from '../../helpers/engines.ts';

/** The word whose id lies outside of the embedding table, so that the run throws. */
export const THROWING_WORD = 'throw';
const OUTSIDE_ID = 1_000_000;

const TokenizerJson = z.looseObject({
  model: z.looseObject({ vocab: z.record(z.string(), z.number()) }),
});
const ManifestJson = z.looseObject({
  name: z.string(),
  files: z.array(z.looseObject({ path: z.string(), sha256: z.string(), bytes: z.number() })),
});

/**
 * A models folder with tiny-poison and `tiny-thrower`: tiny-classifier with one word more in its
 * vocabulary than its graph has. @returns the folder and how to remove it
 */
export async function makeThrowingModels(): Promise<{ dir: string; remove: () => Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'headrace-models-'));
  await cp(join(TINY_MODELS, 'tiny-poison'), join(dir, 'tiny-poison'), { recursive: true });
  const folder = join(dir, 'tiny-thrower', '1');
  await cp(join(TINY_MODELS, 'tiny-classifier', '1'), folder, { recursive: true });

  const tokenizerPath = join(folder, 'tokenizer.json');
  const tokenizer = TokenizerJson.parse(JSON.parse(await readFile(tokenizerPath, 'utf8')));
  tokenizer.model.vocab[THROWING_WORD] = OUTSIDE_ID;
  const text = JSON.stringify(tokenizer);
  await writeFile(tokenizerPath, text);

  const manifestPath = join(folder, 'model.json');
  const manifest = ManifestJson.parse(JSON.parse(await readFile(manifestPath, 'utf8')));
  const sha256 = createHash('sha256').update(text).digest('hex');
  const files = manifest.files.map((file) => ({
    ...file,
    ...(file.path === 'tokenizer.json' ? { sha256, bytes: Buffer.byteLength(text) } : {}),
  }));
  await writeFile(manifestPath, JSON.stringify({ ...manifest, name: 'tiny-thrower', files }));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}
