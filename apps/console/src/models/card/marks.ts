/** A part of a text of Markdown. */
export type Mark =
  | string
  | { kind: 'code'; text: string }
  | { kind: 'strong' | 'em'; marks: Mark[] }
  /** Where it leads; null where that is no page of the web. */
  | { kind: 'link'; href: string | null; marks: Mark[] };

/** Each ends at the next mark of its kind, so that reading takes no longer than the text is long. */
const MARKS = new RegExp(
  [
    String.raw`\\(?<escaped>[!-\/:-@\[-\x60{-~])`,
    String.raw`\x60\x60(?<longCode>(?:[^\x60]|\x60(?!\x60))+)\x60\x60`,
    String.raw`\x60(?<code>[^\x60]+)\x60`,
    String.raw`!?\[(?<label>[^\[\]]*)\]\((?<target>[^()\s]*)(?: +"[^"]*")?\)`,
    String.raw`<(?<address>https?:\/\/[^<>\s]+)>`,
    String.raw`\*\*(?=\S)(?<strong>(?:[^*]|\*[^*]+\*)+)\*\*`,
    String.raw`\*(?=\S)(?<em>[^*]+)\*`,
    String.raw`(?<!\w)__(?=\S)(?<strongWord>[^_]+)__(?!\w)`,
    String.raw`(?<!\w)_(?=\S)(?<emWord>[^_]+)_(?!\w)`,
  ].join('|'),
  'g',
);
const WEB = /^https?:\/\//i;

/** Code, emphasis and links of a text; all else as it is. Of an image, what it shows. */
export function parseMarks(text: string): Mark[] {
  const marks: Mark[] = [];
  let at = 0;
  for (const found of text.matchAll(MARKS)) {
    marks.push(text.slice(at, found.index), markOf(found.groups ?? {}));
    at = found.index + found[0].length;
  }
  return [...marks, text.slice(at)].filter((mark) => mark !== '');
}

type Groups = Record<string, string | undefined>;

function markOf({ escaped, label, target = '', address, ...groups }: Groups): Mark {
  const code = groups.longCode?.trim() ?? groups.code;
  const strong = groups.strong ?? groups.strongWord;
  const em = groups.em ?? groups.emWord;
  if (code !== undefined) return { kind: 'code', text: code };
  if (strong !== undefined) return { kind: 'strong', marks: parseMarks(strong) };
  if (em !== undefined) return { kind: 'em', marks: parseMarks(em) };
  if (address !== undefined) return { kind: 'link', href: address, marks: [address] };
  if (label === undefined) return escaped ?? '';
  return { kind: 'link', href: WEB.test(target) ? target : null, marks: parseMarks(label) };
}
