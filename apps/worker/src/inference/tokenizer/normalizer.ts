import type { LibraryNormalizer } from './library.ts';

/** Removed by a cleaning normaliser: control and format characters, private and broken ones. */
const UNREADABLE = /(?![\t\n\r])[\ufffd\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu;
const WHITE_SPACE = /\s/g;
/** Chinese signs, in the ranges of the original tokenizer. */
const CHINESE_RANGES = [
  String.raw`\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}`,
  String.raw`\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}`,
];
const CHINESE = new RegExp(`[${CHINESE_RANGES.join('')}]`, 'gu');
const ACCENT = /\p{Mn}/gu;

/**
 * Makes lower-casing and BERT's normaliser do what the original Rust tokenizer does, and fast. The
 * library's lower a whole text at once, which turns a final `Σ` into `ς` and not `σ`; they miss
 * Chinese signs beyond U+FFFF, since they look at UTF-16 halves; and they go through a text by
 * single characters, which is half of the whole tokenizer's time, and more than linear.
 */
export function fixNormalizer(normalizer: LibraryNormalizer | null): void {
  if (normalizer === null) return;
  const { config } = normalizer;
  for (const step of normalizer.normalizers ?? []) fixNormalizer(step);
  if (config.type === 'Lowercase') normalizer.normalize = lower;
  if (config.type === 'BertNormalizer')
    normalizer.normalize = (text) => normalizeBert(text, config);
}

function normalizeBert(text: string, config: LibraryNormalizer['config']): string {
  let normal = text;
  if (config.clean_text) normal = normal.replace(UNREADABLE, '').replace(WHITE_SPACE, ' ');
  if (config.handle_chinese_chars) normal = normal.replace(CHINESE, ' $& ');
  if (config.lowercase) normal = lower(normal);
  const strips = config.strip_accents ?? config.lowercase ?? false;
  return strips ? normal.normalize('NFD').replace(ACCENT, '') : normal;
}

/** Each character for itself: the one that JavaScript lowers by its place in a word is `Σ`. */
function lower(text: string): string {
  return text.replaceAll('Σ', 'σ').toLowerCase();
}
