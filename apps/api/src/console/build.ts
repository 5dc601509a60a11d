import { hash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { BARE_IMPORTS, readPage, readSources, type Source } from './sources.ts';

export const ENCODINGS = ['br', 'gzip'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** A body as it is, and packed. */
export interface Packed {
  type: string;
  plain: Uint8Array;
  packed: Record<Encoding, Uint8Array>;
}

/** The console as it is served. */
export interface ConsoleFiles {
  page: Packed;
  etag: string;
  contentSecurityPolicy: string;
  /** `/console/<hash>/app/main.ts` → what is there, for ever. */
  assets: Map<string, Packed>;
}

const ENTRY = 'app/main.ts';
/** Where the page has its files named. */
const PLACE = /<!--.*?-->/;
const TYPES = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  script: 'text/javascript; charset=utf-8',
};

/**
 * Reads the console, takes the types out of it and packs it. All files stand below one hash of all
 * of them, so that they find one another by the paths in their imports.
 */
export async function buildConsole(): Promise<ConsoleFiles> {
  const [sources, template] = await Promise.all([readSources(), readPage()]);
  const content = sources.map(({ path, text }) => `${path}\n${text}`).join('\n');
  const base = `/console/${hash('sha256', content, 'hex').slice(0, 16)}`;
  const imports = Object.entries(BARE_IMPORTS).map(([name, path]) => [name, `${base}/${path}`]);
  const importMap = JSON.stringify({ imports: Object.fromEntries(imports) });
  const head = [
    `<link rel="stylesheet" href="${base}/style.css">`,
    `<script type="importmap">${importMap}</script>`,
    ...firstModules(sources).map((path) => `<link rel="modulepreload" href="${base}/${path}">`),
    `<script type="module" src="${base}/${ENTRY}"></script>`,
  ];
  const html = template.replace(PLACE, head.join('\n'));
  const packed = sources.map(async ({ path, text }): Promise<[string, Packed]> => {
    return [`${base}/${path}`, await pack(text, path.endsWith('.css') ? TYPES.css : TYPES.script)];
  });
  return {
    page: await pack(html, TYPES.html),
    etag: `"${hash('sha256', html, 'hex').slice(0, 32)}"`,
    contentSecurityPolicy: policy(hash('sha256', importMap, 'base64')),
    assets: new Map(await Promise.all(packed)),
  };
}

/** What the entry imports, directly or not, so that a browser asks for all of it at once. */
function firstModules(sources: Source[]): string[] {
  const texts = new Map(sources.map(({ path, text }) => [path, text]));
  const found = new Set([ENTRY]);
  for (const path of found) {
    for (const [, target = ''] of (texts.get(path) ?? '').matchAll(STATIC_IMPORT)) {
      found.add(
        target.startsWith('.')
          ? new URL(target, `file:///${path}`).pathname.slice(1)
          : bare(target),
      );
    }
  }
  return [...found];
}

/** The minified library has its imports in one line with the rest. */
const STATIC_IMPORT =
  /(?:^|\n|\})\s*(?:import|export)\s*(?:[\w*{}\s,$]+?\s*from\s*)?["']([^"']+)["']/g;

function bare(name: string): string {
  const path = Object.entries(BARE_IMPORTS).find(([known]) => known === name)?.[1];
  if (path === undefined) throw new Error(`the console imports ${name}, which is not served`);
  return path;
}

/** Nothing from elsewhere, no inline style or script but the import map, no HTML out of strings. */
function policy(importMapHash: string): string {
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${importMapHash}'`,
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}

const compressBrotli = promisify(brotliCompress);
const compressGzip = promisify(gzip);

async function pack(text: string, type: string): Promise<Packed> {
  const plain = Buffer.from(text);
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 9,
    [constants.BROTLI_PARAM_SIZE_HINT]: plain.byteLength,
  };
  const [br, zipped] = await Promise.all([
    compressBrotli(plain, { params }),
    compressGzip(plain, { level: 9 }),
  ]);
  return { type, plain, packed: { br, gzip: zipped } };
}
