import type { InputFormat } from '@headrace/client';
import { shownName } from '../../elements/text.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

/** What a file is, by its first bytes where they say so, else by its name. */
export interface FileKind {
  format: InputFormat;
  compression: Compression;
  /** What to know before it is sent: it is not what its name says. */
  warning: string | null;
  /** The first bytes, unpacked; null where a browser cannot unpack them. */
  head: Uint8Array | null;
  /** The head is all of it. */
  whole: boolean;
}

const HEAD_BYTES = 256 * 1024;
const ENDINGS: Record<string, InputFormat> = {
  csv: 'csv',
  tsv: 'tsv',
  tab: 'tsv',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  parquet: 'parquet',
  txt: 'text',
  text: 'text',
};

export async function kindOf(file: File): Promise<FileKind> {
  const first = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  const named = formatNamed(file.name);
  const compression = compressionOf(first);
  const head =
    compression === 'gzip' ? await unzipped(file) : compression === 'zstd' ? null : first;
  const whole =
    compression === 'none' ? file.size <= HEAD_BYTES : (head?.length ?? HEAD_BYTES) < HEAD_BYTES;
  const seen = head === null ? null : formatSeen(head);
  const format = chosen(named, seen);
  return { format, compression, head, whole, warning: warningOf(file, { named, seen, head }) };
}

function formatNamed(name: string): InputFormat | null {
  const endings = name.toLowerCase().split('.').slice(1);
  if (/^(gz|zst)$/.test(endings.at(-1) ?? '')) endings.pop();
  return ENDINGS[endings.at(-1) ?? ''] ?? null;
}

function compressionOf(bytes: Uint8Array): Compression {
  if (startsWith(bytes, [0x1f, 0x8b])) return 'gzip';
  return startsWith(bytes, [0x28, 0xb5, 0x2f, 0xfd]) ? 'zstd' : 'none';
}

type Seen = 'parquet' | 'jsonl' | 'binary' | 'lines';

function formatSeen(bytes: Uint8Array): Seen {
  if (startsWith(bytes, [0x50, 0x41, 0x52, 0x31])) return 'parquet';
  if (bytes.includes(0)) return 'binary';
  const [line = ''] = new TextDecoder()
    .decode(bytes)
    .replace(/^\uFEFF/, '')
    .trimStart()
    .split('\n', 1);
  return line.startsWith('{') && isObject(line) ? 'jsonl' : 'lines';
}

function isObject(line: string): boolean {
  try {
    return typeof JSON.parse(line) === 'object';
  } catch {
    return false;
  }
}

/** The content decides what cannot be mistaken, the name everything else. */
function chosen(named: InputFormat | null, seen: Seen | null): InputFormat {
  if (seen === 'parquet') return 'parquet';
  if (seen === 'jsonl' && named !== 'text') return 'jsonl';
  if (named !== null && !(named === 'parquet' && seen === 'lines')) return named;
  return seen === 'lines' ? 'text' : 'csv';
}

interface Found {
  named: InputFormat | null;
  seen: Seen | null;
  head: Uint8Array | null;
}

function warningOf(file: File, { named, seen, head }: Found): string | null {
  const name = shownName(file.name);
  if (file.size === 0) return 'The file is empty.';
  if (seen === 'binary') {
    return `${name} does not look like text or Parquet: it holds bytes that no text has.`;
  }
  if (seen === 'parquet' && named !== null && named !== 'parquet') {
    return `${name} is named like ${named}, but it is Parquet, and is read as that.`;
  }
  if (seen === 'jsonl' && (named === 'csv' || named === 'tsv' || named === 'parquet')) {
    return `${name} is named like ${named}, but its lines are JSON, and are read as that.`;
  }
  if (named === 'parquet' && seen !== 'parquet')
    return `${name} is not Parquet, whatever its name says.`;
  if (named === 'jsonl' && seen === 'lines') {
    return `${name} is named like JSONL, but its first line is no JSON object.`;
  }
  if (
    head !== null &&
    new TextDecoder().decode(head.slice(0, -4)).includes('\uFFFD') &&
    seen !== 'parquet'
  ) {
    return `${name} is not all UTF-8: rows with other bytes fail.`;
  }
  return null;
}

function startsWith(bytes: Uint8Array, magic: number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}

/** The beginning of a gzip file; what is broken further on is not seen here. */
async function unzipped(file: File): Promise<Uint8Array | null> {
  const reader = file.stream().pipeThrough(new DecompressionStream('gzip')).getReader();
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    while (length < HEAD_BYTES) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      length += value.length;
    }
  } catch {
    if (length === 0) return null;
  }
  await reader.cancel().catch(() => undefined);
  const head = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    head.set(piece, at);
    at += piece.length;
  }
  return head.subarray(0, HEAD_BYTES);
}
