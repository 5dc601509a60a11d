import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readSource, type SourceFile } from '../helpers/source-file.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const GLOBS = [
  '{apps,packages}/*/src/**/*.ts',
  '{tests,bench}/**/*.ts',
  'scripts/**/*.mjs',
  'apps/*/bin/*.mjs',
];
const ENTRIES = /\/(main|engine-process|tokenizer-thread)\.ts$|\/bin\//;
const CLIENT = 'packages/client/src/';
const CLI_IMPORTS = /^(apps\/cli\/|packages\/client\/src\/index\.ts$|node:|commander$)/;
const CONSOLE_IMPORTS =
  /^(apps\/console\/src\/|packages\/client\/src\/index\.ts$|(preact|preact\/hooks|htm|uplot|hyparquet)$)/;
const LONGEST_FILE = 400;
const LONGEST_FUNCTION = 80;
const MOST_PARAMETERS = 3;

const files = globSync(GLOBS, { cwd: ROOT }).map((path) =>
  readSource(path, readFileSync(join(ROOT, path), 'utf8')),
);

interface Rule {
  name: string;
  /** What is wrong with one file of `all`; nothing, if it keeps the rule. */
  problems(file: SourceFile, all: SourceFile[]): string[];
  /** Files of which the first breaks the rule: proof that it would be noticed. */
  broken: Record<string, string>;
}

const rules: Rule[] = [
  {
    name: 'an app imports packages and itself, never another app',
    problems: ({ path, imports }) =>
      imports
        .map(({ target }) => target)
        .filter((target) => isIn(path, 'apps/') && isIn(target, 'apps/'))
        .filter((target) => appOf(target) !== appOf(path)),
    broken: { 'apps/api/src/a.ts': "import { b } from '../../worker/src/b.ts';" },
  },
  {
    name: 'the CLI knows nothing of a server but what its client knows',
    problems: ({ path, imports }) =>
      imports
        .map(({ target }) => target)
        .filter((target) => isIn(path, 'apps/cli/src/') && !CLI_IMPORTS.test(target)),
    broken: { 'apps/cli/src/a.ts': "import { isBatchId } from '@headrace/shared/ids.ts';" },
  },
  {
    name: 'the console imports the client and what is served for browsers',
    problems: ({ path, imports }) =>
      imports
        .map(({ target }) => target)
        .filter((target) => isIn(path, 'apps/console/src/') && !CONSOLE_IMPORTS.test(target)),
    broken: { 'apps/console/src/a.ts': "import { readFile } from 'node:fs/promises';" },
  },
  {
    name: 'the client imports nothing, so that it runs in a browser',
    problems: ({ path, imports }) =>
      imports
        .map(({ target }) => target)
        .filter((target) => isIn(path, CLIENT) && !isIn(target, CLIENT)),
    broken: { 'packages/client/src/a.ts': "import { Readable } from 'node:stream';" },
  },
  {
    name: 'a package never imports an app',
    problems: ({ path, imports }) =>
      imports
        .map(({ target }) => target)
        .filter((target) => isIn(path, 'packages/') && isIn(target, 'apps/')),
    broken: { 'packages/shared/src/a.ts': "export * from '@headrace/api/app.ts';" },
  },
  {
    name: 'inference knows neither BullMQ nor Redis',
    problems: (file, all) =>
      isIn(file.path, 'apps/worker/src/inference/') ? reached(file, all, /^(bullmq|ioredis)$/) : [],
    broken: {
      'apps/worker/src/inference/a.ts': "import { b } from '@headrace/shared/b.ts';",
      'packages/shared/src/b.ts': "import { Redis } from 'ioredis';",
    },
  },
  {
    name: 'consumers know nothing of ONNX',
    problems: ({ path, imports }) =>
      imports
        .map(({ target }) => target)
        .filter((target) => isIn(path, 'apps/worker/src/consumers/') && /^onnx/.test(target)),
    broken: {
      'apps/worker/src/consumers/a.ts': "import type { Tensor } from 'onnxruntime-node';",
    },
  },
  {
    name: 'the API loads neither ONNX Runtime nor a tokenizer',
    problems: (file, all) =>
      isIn(file.path, 'apps/api/') ? reached(file, all, /^(onnx|@huggingface\/)/) : [],
    broken: { 'apps/api/src/a.ts': "const { Tensor } = await import('onnxruntime-node');" },
  },
  {
    name: 'only entries touch process.env, process.on and process.exit',
    problems: ({ path, processUses }) =>
      processUses
        .filter(() => isSource(path) && !ENTRIES.test(path))
        .filter(({ property }) => ['env', 'on', 'once', 'exit'].includes(property))
        .map(({ property, line }) => `process.${property} in line ${line}`),
    broken: { 'apps/api/src/a.ts': 'export const port = process.env.PORT;' },
  },
  {
    name: 'folders are named after what the code does',
    problems: ({ path }) =>
      path
        .split('/')
        .slice(0, -1)
        .filter(
          (folder) => isSource(path) && /^(utils?|helpers?|types|classes|interfaces)$/.test(folder),
        ),
    broken: { 'apps/api/src/utils/a.ts': '' },
  },
  {
    name: 'metric names stand in one file',
    problems: ({ path, strings }) =>
      strings
        .filter(({ value }) => isSource(path) && /^headrace_[a-z0-9_]+$/.test(value))
        .filter(() => path !== 'packages/shared/src/metrics.ts')
        .map(({ value, line }) => `${value} in line ${line}`),
    broken: { 'apps/api/src/a.ts': "new Counter({ name: 'headrace_jobs_total' });" },
  },
  {
    name: `a file has at most ${LONGEST_FILE} lines`,
    problems: ({ lines }) => (lines > LONGEST_FILE ? [`${lines} lines`] : []),
    broken: { 'apps/api/src/a.ts': 'f();\n'.repeat(LONGEST_FILE + 1) },
  },
  {
    name: `a function has at most ${LONGEST_FUNCTION} lines`,
    problems: ({ path, functions }) =>
      functions
        .filter(({ lines }) => !isTest(path) && lines > LONGEST_FUNCTION)
        .map(({ name, line, lines }) => `${name} in line ${line} has ${lines} lines`),
    broken: { 'apps/api/src/a.ts': `const f = () => {\n${'f();\n'.repeat(LONGEST_FUNCTION)}};` },
  },
  {
    name: `a function has at most ${MOST_PARAMETERS} parameters`,
    problems: ({ functions }) =>
      functions
        .filter(({ parameters }) => parameters > MOST_PARAMETERS)
        .map(({ name, line, parameters }) => `${name} in line ${line} has ${parameters}`),
    broken: { 'apps/api/src/a.ts': 'class A { f(a, b, c, d) {} }' },
  },
  {
    name: 'nothing has the type any',
    problems: ({ anyTypes }) => anyTypes.map((line) => `line ${line}`),
    broken: { 'apps/api/src/a.ts': 'const list: Array<any> = [];' },
  },
];

for (const { name, problems, broken } of rules) {
  describe(name, () => {
    test('in every file', () => {
      const found = files.flatMap((file) =>
        problems(file, files).map((problem) => `${file.path}: ${problem}`),
      );
      assert.deepEqual(found, []);
    });

    test('and a file that breaks it is found', () => {
      const all = Object.entries(broken).map(([path, text]) => readSource(path, text));
      assert.equal(all.slice(0, 1).flatMap((file) => problems(file, all)).length, 1);
    });
  });
}

test('the rules see the sources', () => {
  for (const path of ['apps/api/src/main.ts', 'apps/worker/src/main.ts', 'scripts/start.mjs']) {
    assert.ok(files.some((file) => file.path === path));
  }
});

function isIn(path: string, folder: string): boolean {
  return path.startsWith(folder);
}

function isSource(path: string): boolean {
  return isIn(path, 'apps/') || isIn(path, 'packages/');
}

/** A suite is one long function by its nature. */
function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.endsWith('.suite.ts');
}

function appOf(path: string): string | undefined {
  return path.split('/')[1];
}

/** Packages that fit `forbidden` and are loaded with the file: directly, or by a file of ours. */
function reached(file: SourceFile, all: SourceFile[], forbidden: RegExp): string[] {
  const found = new Set(file.imports.map(({ target }) => target));
  const waiting = [file];
  const seen = new Set(waiting);
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    for (const { target, typeOnly } of next.imports) {
      if (typeOnly) continue;
      found.add(target);
      const known = all.find(({ path }) => path === target);
      if (!known || seen.has(known)) continue;
      seen.add(known);
      waiting.push(known);
    }
  }
  return [...found].filter((target) => forbidden.test(target));
}
