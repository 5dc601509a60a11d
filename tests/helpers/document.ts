import { readFileSync } from 'node:fs';

/** A fenced block of a document. */
export interface Block {
  /** The first word after the fence. */
  language: string;
  /** The second: the file that the block is. */
  file: string | null;
  text: string;
}

/** What a document has its reader type, with what it says comes of it. */
export interface Step {
  command: string;
  /** What stands below the last command of a block: its output, where `…` is anything. */
  shown: Block | null;
}

export function blocksOf(path: string): Block[] {
  const text = readFileSync(path, 'utf8');
  return [...text.matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map((block) => {
    const [, language = '', file = null, text = ''] = block;
    return { language, file, text };
  });
}

/**
 * The commands of the blocks `sh`, in order. Blocks `bash` are for the reader alone: they start,
 * install or stop something.
 */
export function stepsOf(blocks: readonly Block[]): Step[] {
  return blocks.flatMap((block, i) => {
    if (block.language !== 'sh') return [];
    const text = block.text.replaceAll('\\\n', ' ');
    const commands = [...text.matchAll(/(?:'[^']*'|"[^"]*"|[^\n'"])+/g)].map(([line]) => line);
    const next = blocks[i + 1];
    const shown = next !== undefined && isOutput(next) ? next : null;
    return commands.map((command, at) => ({
      command,
      shown: at === commands.length - 1 ? shown : null,
    }));
  });
}

function isOutput({ language, file }: Block): boolean {
  return file === null && ['json', 'text', 'csv'].includes(language);
}

/** The words of a command line as a shell makes them, without variables and patterns. */
export function words(command: string): string[] {
  const found = command.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g);
  return [...found].map(([word]) => word.replaceAll(/'([^']*)'|"([^"]*)"/g, '$1$2'));
}

/**
 * Whether the output is what the document shows, but for white space, ids, and the last digits of
 * numbers, which another processor may round otherwise. `…` is anything.
 */
export function isAsShown(output: string, shown: string): boolean {
  const parts = plain(shown)
    .split('…')
    .map((part) => RegExp.escape(part));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(plain(output));
}

/** An output without what differs from run to run. */
function plain(text: string): string {
  return text
    .replaceAll(/\s+/g, '')
    .replaceAll(/\b(job|batch|file|whd|whe|key)([_-])[0-9a-hjkmnp-tv-z]{26}/g, '$1$2…')
    .replaceAll(/\d+\.\d+(?:e-\d+)?/g, (number) => Number(number).toFixed(4));
}
