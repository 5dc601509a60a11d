import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { createLibrary } from '../../apps/worker/src/inference/tokenizer/library.ts';
import {
  packTokenizedRows,
  unpackTokenizedRows,
} from '../../apps/worker/src/inference/tokenizer/packed-rows.ts';
import { createTokenizer } from '../../apps/worker/src/inference/tokenizer/tokenizer.ts';
import {
  cutText,
  fitPair,
  spreadChunks,
} from '../../apps/worker/src/inference/tokenizer/truncate.ts';
import { AppError } from '../../packages/shared/src/errors.ts';
import type { Overflow } from '../../packages/shared/src/tasks/task.ts';

const JSON_TEXT = readFileSync(
  new URL('../fixtures/models/tiny-pairs/1/tokenizer.json', import.meta.url),
  'utf8',
);
const CLS = 2;
const SEP = 3;
const [THE, CAT, DOG] = [195, 251, 252];

const tokenizer = createTokenizer(JSON_TEXT, { wantsTypeIds: true });
const single = (text: string) => ({ text, text_pair: null });
const pair = (text: string, text_pair: string) => ({ text, text_pair });
const words = (word: string, count: number) => Array(count).fill(word).join(' ');
const idsOf = (row: { encodings: { ids: Int32Array }[] }) =>
  row.encodings.map(({ ids }) => Array.from(ids));

describe('a row of ids', () => {
  const encode = (ids: number[], overflow: Overflow) => tokenizer.encode({ ids }, 8, overflow);
  const framed = [CLS, THE, CAT, SEP];

  test('gets the special tokens that it has not', () => {
    assert.deepEqual(idsOf(encode([THE, CAT], 'error')), [framed]);
    assert.deepEqual(idsOf(encode(framed, 'error')), [framed]);
    assert.equal(encode([CLS, THE, CAT], 'error').tokens, 5);
    assert.equal(encode([CLS, SEP], 'error').tokens, 4);
  });

  test('is cut, refused or chunked like a text', () => {
    const long = Array<number>(20).fill(THE);
    assert.equal(encode(long, 'truncate').encodings[0]?.ids.length, 8);
    assert.equal(encode(long, 'truncate').truncated, true);
    assert.ok(encode(long, 'chunk').encodings.length > 2);
    assert.throws(() => encode(long, 'error'), { code: 'text_too_long' });
  });

  test('with an id beyond the vocabulary is refused', () => {
    assert.throws(() => encode([THE, 1_000_000], 'error'), { code: 'tokenizer_failed' });
  });
});

describe('a text that fits', () => {
  test('has its ids between the special tokens, and no types', () => {
    const row = tokenizer.encode(single('The cat'), 8, 'truncate');
    assert.deepEqual(idsOf(row), [[CLS, THE, CAT, SEP]]);
    assert.equal(row.encodings[0]?.typeIds, null);
    assert.deepEqual([row.tokens, row.truncated], [4, false]);
  });

  test('is the same under every overflow, up to the last token', () => {
    for (const overflow of ['truncate', 'error', 'chunk'] as const) {
      const row = tokenizer.encode(single(words('cat', 6)), 8, overflow);
      assert.deepEqual(idsOf(row), [[CLS, ...Array(6).fill(CAT), SEP]]);
      assert.deepEqual([row.tokens, row.truncated], [8, false]);
    }
  });

  test('of nothing that the model sees still has its special tokens', () => {
    for (const text of ['', '  \u2003 ', '\u200b\u0000\u{e0001}']) {
      const row = tokenizer.encode(single(text), 8, 'truncate');
      assert.deepEqual(idsOf(row), [[CLS, SEP]]);
      assert.deepEqual([row.tokens, row.truncated], [2, false]);
    }
  });

  test('may be paired: the second text has type 1, if the model takes types', () => {
    const row = tokenizer.encode(pair('the cat', 'dog'), 8, 'truncate');
    assert.deepEqual(idsOf(row), [[CLS, THE, CAT, SEP, DOG, SEP]]);
    assert.deepEqual(Array.from(row.encodings[0]?.typeIds ?? []), [0, 0, 0, 0, 1, 1]);
    const untyped = createTokenizer(JSON_TEXT, { wantsTypeIds: false });
    const encoding = untyped.encode(pair('the cat', 'dog'), 8, 'truncate').encodings[0];
    assert.deepEqual(encoding, { ids: row.encodings[0]?.ids, typeIds: null });
  });

  test('paired with an empty one is a pair, as in the original tokenizer', () => {
    const row = tokenizer.encode(pair('cat', ''), 8, 'truncate');
    assert.deepEqual(idsOf(row), [[CLS, CAT, SEP, SEP]]);
  });
});

describe('overflow', () => {
  test('truncate drops tokens from the end and keeps the special ones', () => {
    const row = tokenizer.encode(single(`the ${words('cat', 20)} dog`), 8, 'truncate');
    assert.deepEqual(idsOf(row), [[CLS, THE, CAT, CAT, CAT, CAT, CAT, SEP]]);
    assert.deepEqual([row.tokens, row.truncated], [24, true]);
  });

  test('error names the tokens and the limit, and nothing of the text', () => {
    assert.throws(
      () => tokenizer.encode(single(words('cat', 7)), 8, 'error'),
      failsWith('text_too_long', 'The text has 9 tokens, the limit is 8.'),
    );
    assert.throws(
      () => tokenizer.encode(single(' '.repeat(129)), 8, 'error'),
      failsWith('text_too_long', 'The text has more than 128 characters, the limit for 8 tokens.'),
    );
    assert.doesNotThrow(() => tokenizer.encode(single(' '.repeat(128)), 8, 'error'));
  });

  test('chunk gives overlapping windows that hold every token', () => {
    const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));
    const all = letters.map((letter) => 68 + letter.charCodeAt(0) - 97);
    const row = tokenizer.encode(single(letters.join(' ')), 18, 'chunk');
    assert.deepEqual(idsOf(row), [
      [CLS, ...all.slice(0, 16), SEP],
      [CLS, ...all.slice(10), SEP],
    ]);
    assert.deepEqual([row.tokens, row.truncated], [28, false]);
  });

  test('chunk repeats the first text of a pair, at most half of the room long', () => {
    const row = tokenizer.encode(pair('the dog', words('cat', 20)), 13, 'chunk');
    const kept = [CLS, THE, DOG, SEP];
    assert.deepEqual(idsOf(row), Array(3).fill([...kept, ...Array(8).fill(CAT), SEP]));
    assert.deepEqual(Array.from(row.encodings[2]?.typeIds ?? []), [
      ...Array(4).fill(0),
      ...Array(9).fill(1),
    ]);
    assert.deepEqual([row.tokens, row.truncated], [25, false]);

    const long = tokenizer.encode(pair(words('dog', 9), words('cat', 10)), 13, 'chunk');
    const half = [CLS, ...Array(5).fill(DOG), SEP, ...Array(5).fill(CAT), SEP];
    assert.deepEqual(idsOf(long), [half, half]);
    assert.deepEqual([long.tokens, long.truncated], [22, true]);
  });

  test('chunk reads a text to 100,000 characters and says if there was more', () => {
    const row = tokenizer.encode(single('a '.repeat(50_000)), 32, 'chunk');
    assert.deepEqual([row.tokens, row.truncated], [50_002, false]);
    const longer = tokenizer.encode(single('a '.repeat(50_001)), 32, 'chunk');
    assert.deepEqual([longer.tokens, longer.truncated], [50_002, true]);
    assert.equal(longer.encodings.length, row.encodings.length);
  });
});

describe('the character cap', () => {
  test('comes before everything else: what is behind it changes nothing', () => {
    const head = words('cat', 32);
    assert.equal(head.length, 127);
    const row = tokenizer.encode(single(`${head} ${'dog '.repeat(30_000)}`), 8, 'truncate');
    assert.deepEqual(row, { ...tokenizer.encode(single(head), 8, 'truncate'), truncated: true });
    assert.equal(row.tokens, 34);
  });

  test('marks a row as truncated even if all of its tokens fit', () => {
    const row = tokenizer.encode(single(`cat${' '.repeat(126)}`), 8, 'truncate');
    assert.deepEqual(idsOf(row), [[CLS, CAT, SEP]]);
    assert.deepEqual([row.tokens, row.truncated], [3, true]);
  });

  test('holds for each text of a pair', () => {
    const row = tokenizer.encode(pair(' '.repeat(129), 'cat'), 8, 'truncate');
    assert.equal(row.truncated, true);
    const other = tokenizer.encode(pair('cat', ' '.repeat(129)), 8, 'truncate');
    assert.equal(other.truncated, true);
    const both = tokenizer.encode(pair(' '.repeat(128), ' '.repeat(128)), 8, 'truncate');
    assert.equal(both.truncated, false);
  });

  test('never leaves half a character', () => {
    assert.deepEqual(cutText('ab😀c', 3), { text: 'ab', cut: true });
    assert.deepEqual(cutText('ab😀c', 4), { text: 'ab😀', cut: true });
    assert.deepEqual(cutText('ab😀', 4), { text: 'ab😀', cut: false });
    assert.deepEqual(cutText('ab\ud83dc', 3), { text: 'ab\ud83d', cut: true });
    assert.equal(cutText('\ude00\ude00', 1).text, '\ude00');
  });
});

describe('truncation of a pair', () => {
  // [first, second, room, what the original tokenizer (0.23.3) keeps of each with longest_first]
  const ORIGINAL = [
    [10, 10, 13, [6, 7]],
    [10, 10, 14, [7, 7]],
    [3, 20, 13, [3, 10]],
    [20, 3, 13, [10, 3]],
    [20, 3, 14, [11, 3]],
    [6, 7, 13, [6, 7]],
    [7, 6, 13, [7, 6]],
    [7, 7, 13, [6, 7]],
    [0, 30, 13, [0, 13]],
    [30, 0, 13, [13, 0]],
    [30, 9, 13, [7, 6]],
    [9, 30, 13, [6, 7]],
    [30, 9, 14, [7, 7]],
    [9, 30, 14, [7, 7]],
    [6, 30, 13, [6, 7]],
    [6, 30, 12, [6, 6]],
  ] as const;

  test('takes from the longer text as the original does', () => {
    for (const [first, second, room, [keptFirst, keptSecond]] of ORIGINAL) {
      const row = tokenizer.encode(
        pair(words('dog', first), words('cat', second)),
        room + 3,
        'truncate',
      );
      const expected = [
        CLS,
        ...Array(keptFirst).fill(DOG),
        SEP,
        ...Array(keptSecond).fill(CAT),
        SEP,
      ];
      assert.deepEqual(idsOf(row), [expected], `${first} and ${second} in ${room}`);
      assert.equal(row.truncated, first + second > room);
      assert.equal(row.tokens, first + second + 3);
    }
  });

  test('takes from the second text alone if told so, while the first has room', () => {
    const strategy = 'only_second';
    assert.deepEqual(fitPair(10, 10, { room: 13, strategy }), { first: 10, second: 3 });
    assert.deepEqual(fitPair(9, 30, { room: 14, strategy }), { first: 9, second: 5 });
    assert.deepEqual(fitPair(20, 3, { room: 13, strategy }), { first: 13, second: 0 });
    const second = createTokenizer(JSON_TEXT, { wantsTypeIds: true, pairTruncation: strategy });
    const row = second.encode(pair(words('dog', 4), words('cat', 9)), 10, 'truncate');
    assert.deepEqual(idsOf(row), [[CLS, DOG, DOG, DOG, DOG, SEP, CAT, CAT, CAT, SEP]]);
  });
});

describe('special tokens are taken from the post-processor', () => {
  const withPostProcessor = (post_processor: object | null) =>
    createTokenizer({ ...JSON.parse(JSON_TEXT), post_processor }, { wantsTypeIds: true });
  const roberta = { type: 'RobertaProcessing', cls: ['[CLS]', CLS], sep: ['[SEP]', SEP] };

  test('of the RoBERTa kind, with two between the texts and type 0 throughout', () => {
    for (const processor of [
      roberta,
      { type: 'Sequence', processors: [{ type: 'ByteLevel' }, roberta] },
    ]) {
      const tokens = withPostProcessor(processor);
      const row = tokens.encode(pair(words('dog', 9), words('cat', 9)), 9, 'truncate');
      assert.deepEqual(idsOf(row), [[CLS, DOG, DOG, SEP, SEP, CAT, CAT, CAT, SEP]]);
      assert.equal(row.encodings[0]?.typeIds, null);
      assert.equal(row.tokens, 22);
      assert.deepEqual(idsOf(tokens.encode(single('cat'), 9, 'truncate')), [[CLS, CAT, SEP]]);
    }
  });

  test('of the BERT kind', () => {
    const tokens = withPostProcessor({ ...roberta, type: 'BertProcessing' });
    const { encodings } = tokens.encode(pair('dog', 'cat'), 8, 'truncate');
    assert.deepEqual(Array.from(encodings[0]?.ids ?? []), [CLS, DOG, SEP, CAT, SEP]);
    assert.deepEqual(Array.from(encodings[0]?.typeIds ?? []), [0, 0, 0, 1, 1]);
  });

  test('of any template, even with its own order and types', () => {
    const tokens = withPostProcessor({
      type: 'TemplateProcessing',
      single: [
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '[SEP]', type_id: 2 } },
      ],
      pair: [
        { Sequence: { id: 'B', type_id: 1 } },
        { SpecialToken: { id: '[CLS]', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
      ],
      special_tokens: {},
    });
    const one = tokens.encode(single(words('cat', 20)), 8, 'truncate');
    assert.deepEqual(idsOf(one), [[...Array(7).fill(CAT), SEP]]);
    assert.deepEqual(Array.from(one.encodings[0]?.typeIds ?? []), [...Array(7).fill(0), 2]);
    const two = tokens.encode(pair('cat', 'dog'), 8, 'truncate');
    assert.deepEqual(idsOf(two), [[DOG, CLS, CAT]]);
  });

  test('or there are none', () => {
    for (const processor of [null, { type: 'ByteLevel' }]) {
      const tokens = withPostProcessor(processor);
      assert.deepEqual(idsOf(tokens.encode(single('cat'), 8, 'truncate')), [[CAT]]);
      assert.deepEqual(idsOf(tokens.encode(pair('cat', 'dog'), 8, 'truncate')), [[CAT, DOG]]);
    }
  });

  test('that the vocabulary does not have are refused at once', () => {
    assert.throws(
      () => withPostProcessor({ ...roberta, cls: ['<s>', 0] }),
      /special token <s> is not in the vocabulary/,
    );
  });
});

describe('the library', () => {
  test('failing becomes tokenizer_failed with its cause', () => {
    // Its Unigram model hands all pieces of a word to one call, which has room for fewer.
    const unigram = {
      ...JSON.parse(JSON_TEXT),
      normalizer: null,
      pre_tokenizer: null,
      post_processor: null,
      model: {
        type: 'Unigram',
        unk_id: 0,
        vocab: [
          ['[UNK]', 0],
          ['a', -1],
        ],
      },
      added_tokens: [],
    };
    const tokens = createTokenizer(unigram, { wantsTypeIds: false });
    assert.deepEqual(idsOf(tokens.encode(single('aa'), 8, 'truncate')), [[1, 1]]);
    assert.throws(
      () => tokens.encode(single('a'.repeat(200_000)), 12_500, 'truncate'),
      (error) => {
        assert.ok(error instanceof AppError);
        assert.equal(error.code, 'tokenizer_failed');
        assert.ok(error.cause instanceof RangeError);
        return true;
      },
    );
  });

  test('refuses what is no tokenizer', () => {
    assert.throws(() => createTokenizer('{', { wantsTypeIds: false }), SyntaxError);
    assert.throws(() => createTokenizer('1', { wantsTypeIds: false }), TypeError);
    assert.throws(() => createTokenizer({}, { wantsTypeIds: false }));
  });

  test('finds the same pieces as our faster search', () => {
    const library = createLibrary(JSON.parse(JSON_TEXT));
    const next = createRandom(7);
    const alphabet = [...'abcdeghlnoprst', 'the', 'cat', 'with', 'é', '😀', '漢', '#', ' ', '-'];
    for (let i = 0; i < 500; i++) {
      const length = i % 5 === 0 ? 95 + next(12) : 1 + next(30);
      const text = Array.from({ length }, () => alphabet[next(alphabet.length)]).join('');
      const { ids } = library.encode(text);
      assert.deepEqual(idsOf(tokenizer.encode(single(text), 4096, 'error')), [ids], text);
    }
  });
});

describe('chunks', () => {
  test('are as few as needed, equally long, cover all and overlap by an eighth', () => {
    for (const window of [1, 2, 7, 8, 16, 61, 254]) {
      const overlap = Math.floor(window / 8);
      for (const length of [window, window + 1, 2 * window, 2 * window + 1, 1000, 5003]) {
        const ids = Array.from({ length }, (_, i) => i);
        const chunks = spreadChunks(ids, window);
        const expected = Math.max(1, Math.ceil((length - overlap) / (window - overlap)));
        assert.equal(chunks.length, expected, `${length} by ${window}`);
        assert.equal(chunks[0]?.[0], 0);
        assert.equal(chunks.at(-1)?.at(-1), length - 1);
        chunks.forEach((chunk, i) => {
          const start = chunk[0] ?? -1;
          assert.deepEqual(chunk, ids.slice(start, start + Math.min(window, length)));
          const previous = chunks[i - 1];
          if (previous) assert.ok((previous.at(-1) ?? 0) - start + 1 >= overlap);
        });
      }
    }
  });
});

test('rows come out of a packed buffer as they went in', () => {
  const rows = [
    tokenizer.encode(single('cat'), 8, 'truncate'),
    null,
    tokenizer.encode(pair(words('cat', 9), words('dog', 30)), 16, 'chunk'),
    tokenizer.encode(single(words('cat', 90)), 8, 'truncate'),
  ];
  assert.deepEqual(unpackTokenizedRows(packTokenizedRows(rows)), rows);
  assert.deepEqual(unpackTokenizedRows(packTokenizedRows([])), []);
});

function failsWith(code: string, message: string) {
  return (error: unknown) => {
    assert.ok(error instanceof AppError);
    assert.deepEqual([error.code, error.message], [code, message]);
    return true;
  };
}

/** Park and Miller's generator: the same numbers on every run, from 0 to `below`. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}
