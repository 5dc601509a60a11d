/** A part of a document in Markdown; texts still have their marks in them. */
export type Block =
  | { kind: 'heading'; level: number; text: string }
  | { kind: 'paragraph' | 'code'; text: string }
  | { kind: 'quote'; blocks: Block[] }
  | { kind: 'list'; start: number | null; items: Block[][] }
  | { kind: 'table'; head: string[]; isNumber: boolean[]; rows: string[][] }
  | { kind: 'rule' };

interface Found {
  block: Block;
  /** The line after it. */
  next: number;
}
type Reader = (lines: string[], at: number, depth: number) => Found | null;

const DEEPEST = 8;
const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*)$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|(\d{1,9})[.)])( {1,4})(?=\S)/;
/** Within a paragraph, a number that happens to begin a line begins no list. */
const INTERRUPTION = /^ {0,3}(?:[-*+]|1[.)]) +\S/;

/**
 * The blocks of a card: what GitHub's Markdown has, but for HTML, footnotes, code that is indented
 * and headings that are underlined. Anything else is a paragraph, so that no text is lost.
 */
export function parseCard(markdown: string): Block[] {
  const lines = markdown.replaceAll('\t', '    ').split(/\r\n?|\n/);
  const end = lines[0] === '---' ? lines.indexOf('---', 1) : -1;
  const facts = lines.slice(1, Math.max(1, end)).join('\n');
  const front: Block[] = facts === '' ? [] : [{ kind: 'code', text: facts }];
  return [...front, ...parseBlocks(lines.slice(end + 1), 0)];
}

function parseBlocks(lines: string[], depth: number): Block[] {
  const blocks: Block[] = [];
  const readers = depth < DEEPEST ? READERS : [readParagraph];
  let at = 0;
  while (at < lines.length) {
    if (isBlank(lines[at])) {
      at += 1;
      continue;
    }
    for (const read of readers) {
      const found = read(lines, at, depth);
      if (found === null) continue;
      blocks.push(found.block);
      at = found.next;
      break;
    }
  }
  return blocks;
}

const READERS: Reader[] = [
  readCode,
  readHeading,
  readRule,
  readQuote,
  readList,
  readTable,
  readParagraph,
];

function readCode(lines: string[], at: number): Found | null {
  const mark = FENCE.exec(lines[at] ?? '')?.[1];
  if (mark === undefined) return null;
  const isEnd = (line: string) => line.trim().startsWith(mark) && FENCE.test(line);
  const length = lines.slice(at + 1).findIndex(isEnd);
  const end = length === -1 ? lines.length : at + 1 + length;
  return { block: { kind: 'code', text: lines.slice(at + 1, end).join('\n') }, next: end + 1 };
}

function readHeading(lines: string[], at: number): Found | null {
  const [, marks, text = ''] = HEADING.exec(lines[at] ?? '') ?? [];
  if (marks === undefined) return null;
  const own = text.trim().replace(/ #+$/, '');
  return { block: { kind: 'heading', level: marks.length, text: own }, next: at + 1 };
}

function readRule(lines: string[], at: number): Found | null {
  return RULE.test(lines[at] ?? '') ? { block: { kind: 'rule' }, next: at + 1 } : null;
}

function readQuote(lines: string[], at: number, depth: number): Found | null {
  const next = endOf(lines, at, (line) => QUOTE.test(line));
  if (next === at) return null;
  const inner = lines.slice(at, next).map((line) => line.replace(QUOTE, ''));
  return { block: { kind: 'quote', blocks: parseBlocks(inner, depth + 1) }, next };
}

function readList(lines: string[], at: number, depth: number): Found | null {
  const first = ITEM.exec(lines[at] ?? '');
  if (first === null) return null;
  const items: Block[][] = [];
  let next = at;
  for (;;) {
    const item = RULE.test(lines[next] ?? '') ? null : ITEM.exec(lines[next] ?? '');
    if (item === null || (item[3] === undefined) !== (first[3] === undefined)) break;
    const end = endOfItem(lines, next, item[0].length);
    const inner = lines.slice(next, end).map((line, i) => dedented(line, i === 0, item[0].length));
    items.push(parseBlocks(inner, depth + 1));
    next = end;
  }
  return { block: { kind: 'list', start: first[3] ? Number(first[3]) : null, items }, next };
}

/** What is indented like the text of the item is its own, and a line that goes on with it. */
function endOfItem(lines: string[], at: number, indent: number): number {
  let end = at + 1;
  for (let i = end; i < lines.length; i += 1) {
    const line = lines[i] ?? '';
    if (isBlank(line)) continue;
    const isInner = line.length - line.trimStart().length >= indent;
    const goesOn = i === end && !beginsBlock(lines, i) && !ITEM.test(line);
    if (!isInner && !goesOn) return i;
    end = i + 1;
  }
  return lines.length;
}

function dedented(line: string, isFirst: boolean, indent: number): string {
  if (isFirst || isBlank(line.slice(0, indent))) return line.slice(indent);
  return line.trimStart();
}

function readTable(lines: string[], at: number): Found | null {
  if (!beginsTable(lines, at)) return null;
  const head = cellsOf(lines[at] ?? '');
  const isNumber = cellsOf(lines[at + 1] ?? '').map((cell) => cell.endsWith(':'));
  const next = endOf(lines, at + 2, (line) => line.includes('|'));
  const rows = lines.slice(at + 2, next).map((line) => {
    const cells = cellsOf(line);
    return head.map((_, i) => cells[i] ?? '');
  });
  return { block: { kind: 'table', head, isNumber, rows }, next };
}

function beginsTable(lines: string[], at: number): boolean {
  const [head = '', line = ''] = lines.slice(at, at + 2);
  if (!head.includes('|') || !line.includes('-')) return false;
  const marks = cellsOf(line);
  return marks.length === cellsOf(head).length && marks.every((mark) => /^:?-+:?$/.test(mark));
}

function cellsOf(line: string): string[] {
  const inner = line
    .trim()
    .replace(/^\|/, '')
    .replace(/(?<!\\)\|$/, '');
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
}

function readParagraph(lines: string[], at: number): Found {
  let next = at + 1;
  while (next < lines.length && !isBlank(lines[next]) && !beginsBlock(lines, next)) next += 1;
  const text = lines.slice(at, next).map((line) => line.trim());
  return { block: { kind: 'paragraph', text: text.join('\n') }, next };
}

/** Whether a line ends the paragraph before it. */
function beginsBlock(lines: string[], at: number): boolean {
  const line = lines[at] ?? '';
  const marks = [FENCE, HEADING, RULE, QUOTE, INTERRUPTION];
  return marks.some((mark) => mark.test(line)) || beginsTable(lines, at);
}

function endOf(lines: string[], at: number, isPart: (line: string) => boolean): number {
  let end = at;
  while (end < lines.length && isPart(lines[end] ?? '')) end += 1;
  return end;
}

function isBlank(line = ''): boolean {
  return line.trim() === '';
}
