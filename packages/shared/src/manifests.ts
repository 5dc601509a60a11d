import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const FileEntry = z.strictObject({
  path: z.string().min(1).max(255),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int().positive(),
});

const Variant = FileEntry.extend({
  precision: z.string(),
  /** The largest difference to a golden output that warm-up accepts. */
  tolerance: z.number().positive(),
});

const GoldenRow = z.strictObject({
  text: z.string(),
  text_pair: z.string().nullable(),
  ids: z.array(z.int().nonnegative()),
  outputs: z.record(z.string(), z.array(z.number())),
});

const Common = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/),
  version: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,30}$/),
  description: z.string(),
  licence: z.string(),
  max_tokens: z.int().min(8).max(32_768),
  pairs: z.boolean(),
  inputs: z.array(z.enum(['input_ids', 'attention_mask', 'token_type_ids'])).min(1),
  output: z.string(),
  files: z.array(FileEntry),
  default_variant: z.string(),
  variants: z.record(z.string().regex(/^[a-z0-9_-]{1,16}$/), Variant),
  golden: z.array(GoldenRow).min(1),
});

const Classification = Common.extend({
  task: z.literal('text-classification'),
  labels: z.array(z.string()).min(1),
  multi_label: z.boolean(),
});

const Embeddings = Common.extend({
  task: z.literal('embeddings'),
  dimensions: z.int().positive(),
  /** `graph`: the graph pools and, when `normalize` is set, normalises by itself. */
  pooling: z.enum(['graph', 'mean', 'cls', 'max']),
  normalize: z.boolean(),
});

export const ManifestSchema = z
  .discriminatedUnion('task', [Classification, Embeddings])
  .refine((m) => Object.hasOwn(m.variants, m.default_variant), {
    message: 'default_variant must name one of variants',
    path: ['default_variant'],
  });

/** `model.json`: what a model folder declares. Of the rest, the API reads the card alone. */
export type Manifest = z.infer<typeof ManifestSchema>;
export type ClassificationManifest = z.infer<typeof Classification>;
export type EmbeddingsManifest = z.infer<typeof Embeddings>;

/** A manifest and the folder that it was read from. */
export interface ModelFolder {
  manifest: Manifest;
  dir: string;
}

/** `name@version`, the one spelling of a model that jobs, queues and results carry. */
export function modelRef(manifest: Pick<Manifest, 'name' | 'version'>): string {
  return `${manifest.name}@${manifest.version}`;
}

/** A folder under the models directory that cannot be served, and why. */
export interface ManifestProblem {
  dir: string;
  reason: string;
}

/**
 * Reads every `<dir>/<name>/<version>/model.json`. A folder with a bad manifest becomes a problem
 * and hides nothing else.
 */
export async function readModelsDir(
  dir: string,
): Promise<{ folders: ModelFolder[]; problems: ManifestProblem[] }> {
  const folders: ModelFolder[] = [];
  const problems: ManifestProblem[] = [];
  for (const folder of await manifestFolders(dir)) {
    try {
      folders.push(await readModelFolder(folder));
    } catch (error) {
      problems.push({
        dir: folder,
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
  folders.sort((a, b) => modelRef(a.manifest).localeCompare(modelRef(b.manifest)));
  return { folders, problems };
}

async function manifestFolders(dir: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir(dir, { withFileTypes: true })) {
    if (!name.isDirectory()) continue;
    for (const version of await readdir(join(dir, name.name), { withFileTypes: true })) {
      if (!version.isDirectory()) continue;
      const folder = join(dir, name.name, version.name);
      if ((await readdir(folder)).includes('model.json')) found.push(folder);
    }
  }
  return found;
}

async function readModelFolder(dir: string): Promise<ModelFolder> {
  const parsed = ManifestSchema.safeParse(
    JSON.parse(await readFile(join(dir, 'model.json'), 'utf8')),
  );
  if (!parsed.success) throw new Error(`model.json: ${z.prettifyError(parsed.error)}`);
  const manifest = parsed.data;
  if (!dir.endsWith(join(manifest.name, manifest.version))) {
    throw new Error(`model.json says ${modelRef(manifest)}, the folder says otherwise`);
  }
  return { manifest, dir };
}
