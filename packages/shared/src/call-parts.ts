/** Largest script call: more items or characters than this go in another one. */
const MAX_ITEMS = 128;
const MAX_CHARACTERS = 1_000_000;

/** Cuts the work of one turn into script calls that do not block Redis for long. */
export function callParts<Item extends { json: string }>(items: Item[]): Item[][] {
  const parts: Item[][] = [];
  let part: Item[] = [];
  let characters = 0;
  for (const item of items) {
    const full = part.length >= MAX_ITEMS || characters + item.json.length > MAX_CHARACTERS;
    if (part.length > 0 && full) {
      parts.push(part);
      part = [];
      characters = 0;
    }
    part.push(item);
    characters += item.json.length;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}
