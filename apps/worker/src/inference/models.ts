import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type ModelFolder, modelRef } from '@headrace/shared/manifests.ts';
import { findExternalData } from './external-data.ts';

/** A model folder that must not be served. The message names the model, the file and the fault. */
export class ModelProblem extends Error {
  constructor(model: string, file: string, problem: string) {
    super(`${model}: ${file}: ${problem}`);
    this.name = 'ModelProblem';
  }
}

/** A variant whose files are what the manifest says. */
export interface VerifiedModel {
  folder: ModelFolder;
  variant: string;
  /** Absolute, links resolved. */
  modelPath: string;
}

/**
 * Checks everything that an engine of this variant reads: paths, sizes and sha256 of the common
 * files and of the variant's graph, and that the graph refers to no other file.
 * @throws ModelProblem for the first fault found
 */
export async function verifyModel(folder: ModelFolder, variant: string): Promise<VerifiedModel> {
  const { manifest } = folder;
  const model = modelRef(manifest);
  const graph = Object.hasOwn(manifest.variants, variant) ? manifest.variants[variant] : undefined;
  if (graph === undefined) {
    const known = Object.keys(manifest.variants).join(', ');
    throw new ModelProblem(model, 'model.json', `has no variant ${variant}, only ${known}`);
  }
  for (const file of manifest.files) await verifyFile(folder, file);
  // ONNX Runtime chooses its parser by this ending, and we look into ONNX graphs only.
  if (!graph.path.endsWith('.onnx')) {
    throw new ModelProblem(model, graph.path, 'a graph must be an .onnx file');
  }
  const modelPath = await verifyFile(folder, graph);
  const external = scan(modelPath, (problem) => new ModelProblem(model, graph.path, problem));
  if (external !== null) {
    throw new ModelProblem(model, graph.path, `keeps weights outside of itself (${external})`);
  }
  return { folder, variant, modelPath };
}

interface DeclaredFile {
  path: string;
  sha256: string;
  bytes: number;
}

async function verifyFile(folder: ModelFolder, file: DeclaredFile): Promise<string> {
  const problem = (text: string) => new ModelProblem(modelRef(folder.manifest), file.path, text);
  const path = await resolveInside(folder.dir, file.path, problem);
  const found = await stat(path);
  if (!found.isFile()) throw problem('is not a regular file');
  if (found.size !== file.bytes) {
    throw problem(`has ${found.size} bytes, model.json says ${file.bytes}`);
  }
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const sha256 = hash.digest('hex');
  if (sha256 !== file.sha256) {
    throw problem(`has sha256 ${sha256}, model.json says ${file.sha256}`);
  }
  return path;
}

/** The real path of a declared file, which must lie in the folder however it is written. */
async function resolveInside(
  dir: string,
  path: string,
  problem: (text: string) => ModelProblem,
): Promise<string> {
  if (isAbsolute(path) || path.includes('\0') || path.split(/[/\\]/).includes('..')) {
    throw problem('the path leaves the model folder');
  }
  const root = await realpath(dir);
  let real: string;
  try {
    real = await realpath(join(root, path));
  } catch {
    throw problem('the file is missing');
  }
  const inside = relative(root, real);
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
    throw problem('the path is a link out of the model folder');
  }
  return real;
}

function scan(path: string, problem: (text: string) => ModelProblem): string | null {
  try {
    return findExternalData(path);
  } catch (error) {
    throw problem(
      `is not a readable ONNX graph (${error instanceof Error ? error.message : String(error)})`,
    );
  }
}
