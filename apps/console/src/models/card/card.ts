import { useMemo } from 'preact/hooks';
import { Panel } from '../../elements/panel.ts';
import { type Children, h, html } from '../../ui.ts';
import { type Block, parseCard } from './blocks.ts';
import { type Mark, parseMarks } from './marks.ts';

/** What the makers of a model say of it. */
export function Card({ markdown }: { markdown: string }) {
  const children = useMemo(() => {
    const blocks = parseCard(markdown);
    const shape = { top: topLevel(blocks), last: PANEL_LEVEL, tables: 0 };
    return html`<div class="card">${shown(blocks, shape)}</div>`;
  }, [markdown]);
  return h(Panel, { title: 'Card', children });
}

/** The headings above are h1 and h2. */
const PANEL_LEVEL = 2;

/** What is known of the card's parts so far. */
interface Shape {
  /** Of the card's uppermost headings. */
  top: number;
  /** Of the heading before, as it is shown. */
  last: number;
  tables: number;
}

function topLevel(blocks: Block[]): number {
  return Math.min(6, ...blocks.map((block) => (block.kind === 'heading' ? block.level : 6)));
}

function shown(blocks: Block[], shape: Shape): Children {
  return blocks.map((block) => blockOf(block, shape));
}

function blockOf(block: Block, shape: Shape): Children {
  switch (block.kind) {
    case 'heading': {
      // No level is left out, whatever the card does.
      const level = Math.min(PANEL_LEVEL + 1 + block.level - shape.top, shape.last + 1, 6);
      shape.last = Math.max(level, PANEL_LEVEL + 1);
      return h(`h${shape.last}`, { dir: 'auto' }, marked(block.text));
    }
    case 'paragraph':
      return html`<p dir="auto">${marked(block.text)}</p>`;
    case 'code':
      return html`<div class="code">
        <pre tabindex="0" aria-label="Code"><code dir="auto">${block.text}</code></pre>
      </div>`;
    case 'quote':
      return html`<blockquote>${shown(block.blocks, shape)}</blockquote>`;
    case 'list': {
      const items = block.items.map((item) => html`<li dir="auto">${itemOf(item, shape)}</li>`);
      if (block.start === null) return html`<ul>${items}</ul>`;
      return html`<ol start=${block.start}>${items}</ol>`;
    }
    case 'table':
      return tableOf(block, shape);
    case 'rule':
      return html`<hr />`;
  }
}

/** Of an item that begins with a text, that text has no space around it. */
function itemOf([first, ...rest]: Block[], shape: Shape): Children {
  if (first?.kind !== 'paragraph') return shown(first ? [first, ...rest] : [], shape);
  return [marked(first.text), shown(rest, shape)];
}

function tableOf(
  { head, isNumber, rows }: Extract<Block, { kind: 'table' }>,
  shape: Shape,
): Children {
  shape.tables += 1;
  const classOf = (column: number) => (isNumber[column] ? 'number' : null);
  const cells = (texts: string[]) =>
    texts.map((text, i) => html`<td class=${classOf(i)} dir="auto">${marked(text)}</td>`);
  // A heading without a text is none.
  const headings = head.map((text, i) =>
    text === ''
      ? html`<td></td>`
      : html`<th scope="col" class=${classOf(i)} dir="auto">${marked(text)}</th>`,
  );
  const label = `Table ${shape.tables} of the card`;
  return html`<div class="table-box" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead><tr>${headings}</tr></thead>
      <tbody>${rows.map((row) => html`<tr>${cells(row)}</tr>`)}</tbody>
    </table>
  </div>`;
}

function marked(text: string): Children {
  return parseMarks(text).map(markOf);
}

function markOf(mark: Mark): Children {
  if (typeof mark === 'string') return mark;
  switch (mark.kind) {
    case 'code':
      return html`<code>${mark.text}</code>`;
    case 'strong':
      return html`<strong>${mark.marks.map(markOf)}</strong>`;
    case 'em':
      return html`<em>${mark.marks.map(markOf)}</em>`;
    case 'link':
      if (mark.href === null) return mark.marks.map(markOf);
      return html`<a href=${mark.href} rel="noreferrer" target="_blank">${mark.marks.map(markOf)}</a>`;
  }
}
