import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { parseSync, Visitor } from 'oxc-parser';

const SOURCES = fileURLToPath(new URL('../../packages/client/src', import.meta.url));
const MOST_BYTES = 8_000;

/**
 * All modules as one, without types, comments, imports and needless blanks, but with all names as they
 * are: a bundler's result, which has shorter ones, is smaller.
 */
function bundle(): string {
  return globSync('**/*.ts', { cwd: SOURCES })
    .toSorted()
    .map((path) => shortened(stripTypeScriptTypes(readFileSync(join(SOURCES, path), 'utf8'))))
    .join('');
}

interface Piece {
  start: number;
  end: number;
  /** What stays of it. */
  kept: string;
}

function shortened(code: string): string {
  const { program, comments } = parseSync('client.js', code);
  const pieces: Piece[] = comments.map(({ start, end }) => ({ start, end, kept: '' }));
  const drop = ({ start, end }: { start: number; end: number }) =>
    void pieces.push({ start, end, kept: '' });
  const keep = ({ start, end }: { start: number; end: number }) =>
    void pieces.push({ start, end, kept: code.slice(start, end) });
  new Visitor({
    ImportDeclaration: drop,
    ExportAllDeclaration: drop,
    ExportNamedDeclaration(node) {
      if (node.source) drop(node);
    },
    Literal: keep,
    TemplateElement: keep,
  }).visit(program);
  let [text, at] = ['', 0];
  for (const { start, end, kept } of pieces.toSorted((a, b) => a.start - b.start)) {
    // Within one that was dropped.
    if (start < at) continue;
    text += withoutBlanks(code.slice(at, start)) + kept;
    at = end;
  }
  return text + withoutBlanks(code.slice(at));
}

function withoutBlanks(code: string): string {
  return code.replace(/\s+/g, ' ').replace(/ ?([{}()[\];,=<>:?+&|]) ?/g, '$1');
}

test(`the client has less than ${MOST_BYTES} bytes as one file, compressed`, () => {
  const text = bundle();
  for (const name of ['createClient', 'verifyWebhook', 'HeadraceError']) {
    assert.ok(text.includes(name), name);
  }
  const { length } = gzipSync(text, { level: 9 });
  assert.ok(length < MOST_BYTES, `${length} bytes`);
});
