import type { Encoding } from '../encoding.ts';
import type { Library } from './library.ts';

/** Where the special tokens of an encoding stand, and the type of each token. */
export interface Template {
  parts: Part[];
  /** How many special tokens it adds. */
  specials: number;
  paired: boolean;
}

type Part =
  | { kind: 'special'; id: number; typeId: number }
  | { kind: 'first' | 'second'; typeId: number };

// No tokenizer gives these as tokens: a NUL is in no vocabulary.
const FIRST = '\0first';
const SECOND = '\0second';

/**
 * Asks the tokenizer's post-processor for its templates, by giving it a mark for each text. So
 * `[CLS] a [SEP] b [SEP]`, `<s> a </s></s> b </s>` and any other are known without their names.
 */
export function readTemplates(
  library: Library,
  json: object,
  wantsTypeIds: boolean,
): { single: Template; pair: Template } {
  const typed = wantsTypeIds && !isRoberta('post_processor' in json ? json.post_processor : null);
  return {
    single: readTemplate(library, [FIRST], typed),
    pair: readTemplate(library, [FIRST, SECOND], typed),
  };
}

/** RoBERTa's own post-processor gives type 0 to every token; the library says otherwise. */
function isRoberta(postProcessor: unknown): boolean {
  if (typeof postProcessor !== 'object' || postProcessor === null) return false;
  if ('type' in postProcessor && postProcessor.type === 'RobertaProcessing') return true;
  if (!('processors' in postProcessor) || !Array.isArray(postProcessor.processors)) return false;
  return postProcessor.processors.some(isRoberta);
}

function readTemplate(library: Library, marks: string[], typed: boolean): Template {
  const [first = FIRST, second = null] = marks;
  const output = library.post_processor?.post_process(
    [first],
    second === null ? null : [second],
    true,
  );
  // Without a post-processor, and from one that knows no pairs, the texts simply follow each other.
  const complete = output !== undefined && marks.every((mark) => output.tokens.includes(mark));
  const tokens = complete ? output.tokens : marks;
  const types = (complete && typed && output.token_type_ids) || [];
  const parts = tokens.map((token, i) => readPart(library, token, types[i] ?? 0));
  const specials = parts.filter((part) => part.kind === 'special').length;
  return { parts, specials, paired: second !== null };
}

function readPart(library: Library, token: string, typeId: number): Part {
  if (token === FIRST) return { kind: 'first', typeId };
  if (token === SECOND) return { kind: 'second', typeId };
  const id = library.token_to_id(token);
  if (id === undefined) throw new Error(`the special token ${token} is not in the vocabulary`);
  return { kind: 'special', id, typeId };
}

/** The encoding `[specials + first + second]`; types only if one of them is not 0. */
export function fillTemplate(
  template: Template,
  first: readonly number[],
  second: readonly number[],
): Encoding {
  const length = template.parts.reduce((sum, part) => sum + partLength(part, first, second), 0);
  const ids = new Int32Array(length);
  const typeIds = template.parts.some((part) => part.typeId !== 0) ? new Int32Array(length) : null;
  let at = 0;
  for (const part of template.parts) {
    const end = at + partLength(part, first, second);
    if (part.kind === 'special') ids[at] = part.id;
    else ids.set(part.kind === 'first' ? first : second, at);
    typeIds?.fill(part.typeId, at, end);
    at = end;
  }
  return { ids, typeIds };
}

/** Ids without the special tokens of a single text's template, if all of those stand around them. */
export function withoutSpecials(ids: number[], { parts, specials }: Template): number[] {
  const lead = parts.findIndex((part) => part.kind === 'first');
  const bare = ids.length - specials;
  const framed = parts.every((part, i) => {
    return part.kind !== 'special' || ids[i < lead ? i : i - 1 + bare] === part.id;
  });
  return framed && bare > 0 ? ids.slice(lead, lead + bare) : ids;
}

function partLength(part: Part, first: readonly number[], second: readonly number[]): number {
  if (part.kind === 'special') return 1;
  return part.kind === 'first' ? first.length : second.length;
}
