import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { createTokenizer } from '../../apps/worker/src/inference/tokenizer/tokenizer.ts';

/*
 * The original's tables are of an older Unicode than Node's, so it does not know the category of
 * these signs: punctuation stays within a word where we split it off, a mark stays where we remove
 * it as an accent.
 */
const NEWER_PUNCTUATION = ['\u061d', '\u2e43', '\u2e52', '\u2e5d', '𐺭', '𑽃', '𞥞'];
const NEWER_MARKS = ['\u0898', '\u08ca', '\u0b55', '\u0d3b', '\u1acf', '\u1dfa', '\u{1344c}'];

/** Every line of the fixture, counted from 0, that differs: its kind and the signs that explain it. */
const EXPLAINED = new Map([
  [182, { kind: 'new-sign', signs: ['\u2e52'] }],
  [183, { kind: 'new-sign', signs: ['\u2e5d'] }],
  [184, { kind: 'new-sign', signs: ['\u0898'] }],
  [185, { kind: 'new-sign', signs: ['\u08ca'] }],
  [186, { kind: 'new-sign', signs: ['\u1acf'] }],
  [187, { kind: 'new-sign', signs: ['\u1dfa'] }],
  [188, { kind: 'new-sign', signs: ['\u0b55'] }],
  [189, { kind: 'new-sign', signs: ['\u0d3b'] }],
  [193, { kind: 'new-sign', signs: ['𑽃'] }],
  [195, { kind: 'new-sign', signs: ['𞥞'] }],
  [196, { kind: 'new-sign', signs: ['𐺭'] }],
  [350, { kind: 'any-codes', signs: ['\u061d', '\u{1344c}'] }],
  [422, { kind: 'any-codes', signs: ['\u2e43'] }],
]);

const Line = z
  .object({
    kind: z.string(),
    text: z.string().optional(),
    repeat: z.string().default(''),
    times: z.number().default(0),
    ids: z.array(z.number()),
    count: z.number(),
  })
  .transform(({ text, repeat, times, ...line }) => ({
    ...line,
    text: text ?? repeat.repeat(times),
  }));
type Line = z.infer<typeof Line>;

const KEPT_IDS = 600;
/** So large that nothing of a text of the fixture is cut. */
const ALL_TOKENS = 1_000_000;

describe('ids of minilm, next to those of the original Rust tokenizer', () => {
  const lines = readLines();
  const json = readFileSync(
    new URL('../../models/minilm/1/tokenizer.json', import.meta.url),
    'utf8',
  );
  const tokenizer = createTokenizer(json, { wantsTypeIds: true });
  const differs = ({ text, ids, count }: Line) => {
    const row = tokenizer.encode({ text, text_pair: null }, ALL_TOKENS, 'error');
    const found = [...(row.encodings[0]?.ids ?? [])];
    return found.length !== count || !equal(found.slice(0, KEPT_IDS), ids);
  };

  test('the fixture holds 2,000 texts, ten of them of about 100,000 characters', () => {
    assert.equal(lines.length, 2000);
    assert.equal(lines.filter(({ text }) => text.length > 99_000).length, 10);
  });

  test('differ for the 13 texts with newer signs and for no other', () => {
    const found = lines.flatMap((line, i) => (differs(line) ? [i] : []));
    assert.deepEqual(found, [...EXPLAINED.keys()]);
  });

  test('every explanation names signs of its text, and these signs occur nowhere else', () => {
    const signs = new Set([...NEWER_PUNCTUATION, ...NEWER_MARKS]);
    const found = lines.flatMap(({ kind, text }, i) => {
      const newer = [...new Set(text)].filter((sign) => signs.has(sign));
      return newer.length > 0 ? [[i, { kind, signs: newer }] as const] : [];
    });
    assert.deepEqual(new Map(found), EXPLAINED);
    for (const sign of NEWER_PUNCTUATION) assert.match(sign, /^\p{P}$/u);
    for (const sign of NEWER_MARKS) assert.match(sign, /^\p{Mn}$/u);
  });
});

function readLines(): Line[] {
  const file = new URL('../fixtures/tokenizer-parity/parity.jsonl.gz', import.meta.url);
  const text = gunzipSync(readFileSync(file)).toString();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => Line.parse(JSON.parse(line)));
}

function equal(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
