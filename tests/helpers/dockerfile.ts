import { execFile } from 'node:child_process';
import {
  copyFileSync,
  globSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Stage {
  base: string;
  /** `COPY` and `RUN`, in order, with what follows the word. */
  steps: { instruction: string; text: string }[];
  /** What `ENV` sets in it. */
  env: Record<string, string>;
}

/**
 * Does on this machine, in clean folders, what `docker build` would do in images: every `COPY` and
 * `RUN` of a stage and of the stages that it is built from. Stages whose base is outside are taken as
 * they are on this machine: what they run is about the system, not about the application.
 */
export class DockerSteps {
  readonly #stages = readStages(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'));
  readonly #folder = mkdtempSync(join(tmpdir(), 'headrace-image-'));
  readonly #built = new Map<string, Promise<string>>();
  readonly #system: ReadonlySet<string>;

  /** @param system the stages that are not built: what they have, this machine has */
  constructor(system: readonly string[]) {
    this.#system = new Set(system);
  }

  /** @returns the folder that is the root of the stage's files */
  build(name: string): Promise<string> {
    const known = this.#built.get(name) ?? this.#build(name);
    this.#built.set(name, known);
    return known;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #build(name: string): Promise<string> {
    const root = join(this.#folder, name);
    mkdirSync(join(root, 'app'), { recursive: true });
    const stage = this.#stages.get(name);
    if (stage === undefined) throw new Error(`the Dockerfile has no stage ${name}`);
    if (this.#system.has(name)) return root;
    const parent = this.#stages.has(stage.base) ? await this.build(stage.base) : null;
    if (parent !== null) linkTree(parent, root);
    for (const { instruction, text } of stage.steps) {
      if (instruction === 'COPY') await this.#copy(root, text);
      else await run(join(root, 'app'), text, this.#environment(name));
    }
    return root;
  }

  async #copy(root: string, text: string): Promise<void> {
    const words = text.split(/\s+/);
    const from = /^--from=(.+)$/.exec(words[0] ?? '')?.[1];
    if (from !== undefined) words.shift();
    if (from !== undefined && this.#system.has(from)) return;
    const source = from === undefined ? ROOT : await this.build(from);
    const target = words.pop() ?? '';
    for (const path of words) copyInto(join(root, 'app'), join(source, path), target);
  }

  #environment(name: string): Record<string, string> {
    const stage = this.#stages.get(name);
    return stage === undefined ? {} : { ...this.#environment(stage.base), ...stage.env };
  }
}

/** A folder's content goes to the target, a file into it where it ends with `/`. */
function copyInto(app: string, source: string, target: string): void {
  const isInto = target.endsWith('/') && !statSync(source).isDirectory();
  linkTree(source, join(app, target, isInto ? basename(source) : ''));
}

/** A copy; the files of a stage are the same on the disk. Without `node_modules` of this checkout. */
function linkTree(source: string, target: string): void {
  const stat = lstatSync(source);
  if (!stat.isDirectory()) {
    mkdirSync(dirname(target), { recursive: true });
    rmSync(target, { force: true });
    if (stat.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else if (source.startsWith(ROOT)) copyFileSync(source, target);
    else linkSync(source, target);
    return;
  }
  mkdirSync(target, { recursive: true });
  for (const name of readdirSync(source)) {
    if (name === 'node_modules' && source.startsWith(ROOT)) continue;
    linkTree(join(source, name), join(target, name));
  }
}

async function run(cwd: string, text: string, env: Record<string, string>): Promise<void> {
  const command = text.replaceAll(/--mount=\S+/g, '').replace('npm ci', 'npm ci --prefer-offline');
  await promisify(execFile)('sh', ['-c', command], { cwd, env: { ...process.env, ...env } });
}

function readStages(dockerfile: string): Map<string, Stage> {
  const stages = new Map<string, Stage>();
  let stage: Stage = { base: '', steps: [], env: {} };
  const lines = dockerfile
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n');
  for (const line of lines) {
    const [, instruction = '', text = ''] = /^([A-Z]+) +(.*)$/.exec(line) ?? [];
    if (instruction === 'FROM') {
      const [base = '', , name = ''] = text.split(' ');
      stage = { base, steps: [], env: {} };
      stages.set(name, stage);
    } else if (instruction === 'ENV') {
      for (const [, name = '', value = ''] of text.matchAll(/(\w+)=(\S+)/g))
        stage.env[name] = value;
    } else if (instruction === 'COPY' || instruction === 'RUN') {
      stage.steps.push({ instruction, text });
    }
  }
  return stages;
}

/** The libraries of ONNX Runtime in an image, as `linux/x64`. */
export function onnxLibraries(root: string): string[] {
  const path = 'app/node_modules/onnxruntime-node/bin/napi-v6';
  return globSync('*/*', { cwd: join(root, path) });
}
