import { readFileSync } from 'node:fs';
import { createTokenizer } from '../../../apps/worker/src/inference/tokenizer/tokenizer.ts';

/** Texts that cost the most per character: word shapes that a search backtracks in, and marks. */
const WORST_TEXTS: Record<string, string> = {
  'words of 99 random letters': `${'qzxjvkwyhgf'.repeat(9)} `,
  'words of 100 equal letters': `${'z'.repeat(100)} `,
  'one word': 'a',
  'known pieces': 'ing',
  accents: 'é',
  'combining marks': '\u0301',
  'Chinese beyond U+FFFF': '𠀀',
  'joined emoji': '👨‍👩‍👧‍👦',
  punctuation: '!?',
  'white space': ' \u3000',
  'special tokens': '[SEP]',
  'beginnings of special tokens': '[MASK',
};
/** The longest text that the API takes. */
const LONG = 100_000;
const DOUBLINGS = 5;
const SHORT = LONG / 2 ** DOUBLINGS;
/** So much processor time is spent on each length of a text: the clock of it may tick in 4 ms. */
const MEASURED_MS = 150;
const WARM_UP_RUNS = 3;
const CAPPED_MAX_TOKENS = 256;

export interface TokenizerWorstCase {
  /**
   * The largest time(2n) / time(n) of all texts: the geometric mean of five doublings, from 3,125 to
   * 100,000 characters. A single one says less: where arrays become too long for the young
   * generation (16,384 tokens), a character costs up to 1.5 times as much, once. 2.3 means that a
   * character of the longest text costs twice as much as one of the shortest.
   */
  ratio: number;
  /** The text that has it. */
  text: string;
  /** Processor time of the dearest text, milliseconds for 1,024 characters. */
  msPer1024: number;
  /** Whether 16 × max_tokens characters are all that is looked at, for every text. */
  capFirst: boolean;
}

/** Fault 21: the tokenizer's time grows with a text's length at most in proportion, and has a cap. */
export async function measureTokenizerWorstCase(): Promise<TokenizerWorstCase> {
  const json = readFileSync(
    new URL('../../../models/minilm/1/tokenizer.json', import.meta.url),
    'utf8',
  );
  const tokenizer = createTokenizer(json, { wantsTypeIds: false });
  const encode = (text: string, maxTokens: number) =>
    tokenizer.encode({ text, text_pair: null }, maxTokens, 'truncate');

  const worst: TokenizerWorstCase = { ratio: 0, text: '', msPer1024: 0, capFirst: true };
  for (const [name, part] of Object.entries(WORST_TEXTS)) {
    const long = part.repeat(Math.ceil(LONG / part.length)).slice(0, LONG);
    const { shortMs, longMs } = await timeBoth(long, (text) => encode(text, LONG));
    const ratio = (longMs / shortMs) ** (1 / DOUBLINGS);
    if (ratio > worst.ratio) Object.assign(worst, { ratio, text: name });
    worst.msPer1024 = Math.max(worst.msPer1024, (longMs / LONG) * 1024);
    const capped = encode(long, CAPPED_MAX_TOKENS);
    const kept = encode(long.slice(0, 16 * CAPPED_MAX_TOKENS), CAPPED_MAX_TOKENS);
    worst.capFirst &&= capped.truncated && capped.tokens === kept.tokens;
  }
  return worst;
}

/**
 * The processor time for a text and for its beginning, milliseconds. Time of the thread and not of
 * the clock, so that other work on the machine does not count. Both are taken in turns, as many
 * characters of each, so that neither has the warmer machine.
 */
async function timeBoth(
  long: string,
  encode: (text: string) => unknown,
): Promise<{ shortMs: number; longMs: number }> {
  const short = long.slice(0, SHORT);
  const times = LONG / SHORT;
  for (let i = 0; i < WARM_UP_RUNS; i++) encode(long);
  let shortMs = 0;
  let longMs = 0;
  let rounds = 0;
  while (Math.min(shortMs, longMs) < MEASURED_MS) {
    shortMs += processorMs(() => {
      for (let i = 0; i < times; i++) encode(short);
    });
    longMs += processorMs(() => encode(long));
    rounds += 1;
    await nextTurn();
  }
  return { shortMs: shortMs / rounds / times, longMs: longMs / rounds };
}

function processorMs(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

/** Lets the rest of the process live between two measurements. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
