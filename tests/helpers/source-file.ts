import { posix } from 'node:path';
import { type Node, parseSync, Visitor } from 'oxc-parser';

/** What the rules of structure ask about one source file. */
export interface SourceFile {
  /** From the root of the repository, with slashes. */
  path: string;
  lines: number;
  imports: Import[];
  functions: { name: string; line: number; lines: number; parameters: number }[];
  anyTypes: number[];
  /** `process.env` and the like: what is taken, and where. */
  processUses: { property: string; line: number }[];
  strings: { value: string; line: number }[];
}

export interface Import {
  /** The file `packages/…/x.ts` for what is ours, else the name of the package. */
  target: string;
  typeOnly: boolean;
}

/** @throws Error when the text does not parse */
export function readSource(path: string, text: string): SourceFile {
  const { program, module, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const lineOf = createLineFinder(text);
  const file: SourceFile = {
    path,
    lines: text.trimEnd().split('\n').length,
    imports: readImports(path, text, module),
    functions: [],
    anyTypes: [],
    processUses: [],
    strings: [],
  };
  const onFunction = (node: Node & { params: unknown[]; id?: { name: string } | null }) => {
    const line = lineOf(node.start);
    const lines = lineOf(node.end) - line + 1;
    file.functions.push({ name: node.id?.name ?? '', line, lines, parameters: node.params.length });
  };
  new Visitor({
    FunctionDeclaration: onFunction,
    FunctionExpression: onFunction,
    ArrowFunctionExpression: onFunction,
    TSAnyKeyword: (node) => file.anyTypes.push(lineOf(node.start)),
    Literal: (node) => {
      if (typeof node.value !== 'string') return;
      file.strings.push({ value: node.value, line: lineOf(node.start) });
    },
    MemberExpression: ({ object, property, start }) => {
      if (object.type !== 'Identifier' || object.name !== 'process') return;
      if (property.type !== 'Identifier') return;
      file.processUses.push({ property: property.name, line: lineOf(start) });
    },
  }).visit(program);
  return file;
}

function readImports(
  path: string,
  text: string,
  module: ReturnType<typeof parseSync>['module'],
): Import[] {
  const found = module.staticImports.map(({ moduleRequest, entries }) => ({
    specifier: moduleRequest.value,
    typeOnly: entries.length > 0 && entries.every((entry) => entry.isType),
  }));
  for (const { entries } of module.staticExports) {
    for (const { moduleRequest, isType } of entries) {
      if (moduleRequest) found.push({ specifier: moduleRequest.value, typeOnly: isType });
    }
  }
  for (const { moduleRequest } of module.dynamicImports) {
    const quoted = text.slice(moduleRequest.start, moduleRequest.end);
    found.push({ specifier: quoted.replace(/^['"`]|['"`]$/g, ''), typeOnly: false });
  }
  return found.map(({ specifier, typeOnly }) => ({ target: resolve(path, specifier), typeOnly }));
}

function resolve(path: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(path), specifier);
  const [, ours, file] = /^@headrace\/([^/]+)\/?(.*)$/.exec(specifier) ?? [];
  if (ours !== undefined) {
    return `${PACKAGES.has(ours) ? 'packages' : 'apps'}/${ours}/src/${file || 'index.ts'}`;
  }
  const [scope = '', name = ''] = specifier.split('/');
  return scope.startsWith('@') ? `${scope}/${name}` : scope;
}

const PACKAGES = new Set(['shared', 'client']);

function createLineFinder(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    const next = starts.findIndex((start) => start > offset);
    return next < 0 ? starts.length : next;
  };
}
