import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { findPackageJSON, stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A file as the browser gets it. */
export interface Source {
  /** Below the folder of all files: `app/main.ts`. */
  path: string;
  text: string;
}

const CONSOLE = new URL('../../../console/', import.meta.url);
const CLIENT = new URL('../../../../packages/client/src/', import.meta.url);

/** What the modules of the console import by a name, and where it is served. */
export const BARE_IMPORTS = {
  '@headrace/client': 'client/index.ts',
  preact: 'library/preact.js',
  'preact/hooks': 'library/hooks.js',
  htm: 'library/htm.js',
  uplot: 'library/uplot.js',
  hyparquet: 'hyparquet/index.js',
} as const;

/** Everything but the page itself, in an order that is always the same. */
export async function readSources(): Promise<Source[]> {
  const found = await Promise.all([
    ...modules(new URL('src/', CONSOLE), 'app'),
    ...modules(CLIENT, 'client'),
    ...libraries(),
    styles(),
  ]);
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The page, without its files. */
export function readPage(): Promise<string> {
  return readFile(new URL('src/index.html', CONSOLE), 'utf8');
}

function modules(folder: URL, name: string): Promise<Source>[] {
  return globSync('**/*.ts', { cwd: fileURLToPath(folder) }).map(async (path) => {
    const typed = await readFile(new URL(path, folder), 'utf8');
    return { path: `${name}/${path}`, text: stripTypeScriptTypes(typed, { mode: 'strip' }) };
  });
}

function libraries(): Promise<Source>[] {
  const hyparquet = join(packageFolder('hyparquet'), 'src');
  return [
    library('preact.js', 'preact', 'dist/preact.mjs'),
    library('hooks.js', 'preact', 'hooks/dist/hooks.mjs'),
    library('htm.js', 'htm', 'dist/htm.module.js'),
    uplot(),
    ...globSync('*.js', { cwd: hyparquet, exclude: ['node.js'] }).map(async (name) => ({
      path: `hyparquet/${name}`,
      text: await readFile(join(hyparquet, name), 'utf8'),
    })),
  ];
}

async function library(name: string, of: string, file: string): Promise<Source> {
  const text = await readFile(join(packageFolder(of), file), 'utf8');
  return { path: `library/${name}`, text: text.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n') };
}

/** Its module is not minified and takes twice the bytes of the script for old browsers. */
async function uplot(): Promise<Source> {
  const { path, text } = await library('uplot.js', 'uplot', 'dist/uPlot.iife.min.js');
  return { path, text: `${text}\nexport default uPlot;\n` };
}

async function styles(): Promise<Source> {
  const cwd = fileURLToPath(new URL('src/', CONSOLE));
  const own = globSync('**/*.css', { cwd })
    .sort()
    .map((path) => readFile(join(cwd, path), 'utf8'));
  const ofCharts = readFile(join(packageFolder('uplot'), 'dist/uPlot.min.css'), 'utf8');
  return { path: 'style.css', text: (await Promise.all([ofCharts, ...own])).join('\n') };
}

function packageFolder(name: string): string {
  const file = findPackageJSON(name, CONSOLE);
  if (file === undefined) throw new Error(`the package ${name} is not installed`);
  return dirname(file);
}
