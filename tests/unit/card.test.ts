import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCard } from '../../apps/console/src/models/card/blocks.ts';
import { parseMarks } from '../../apps/console/src/models/card/marks.ts';

const paragraph = (text: string) => ({ kind: 'paragraph', text });

describe('the blocks of a card', () => {
  test('are what its lines begin with, and paragraphs', () => {
    const card =
      '---\nlicence: mit\n---\n# A #\na\nb\n## B\n***\n> c\n> d\n\ne\n```py\n# f\n\n```\ng';
    assert.deepEqual(parseCard(card), [
      { kind: 'code', text: 'licence: mit' },
      { kind: 'heading', level: 1, text: 'A' },
      paragraph('a\nb'),
      { kind: 'heading', level: 2, text: 'B' },
      { kind: 'rule' },
      { kind: 'quote', blocks: [paragraph('c\nd')] },
      paragraph('e'),
      { kind: 'code', text: '# f\n' },
      paragraph('g'),
    ]);
  });

  test('are lists within lists, with lines that go on', () => {
    const inner = { kind: 'list', start: 1, items: [[paragraph('c')], [paragraph('d')]] };
    const outer = [
      [paragraph('a\nb'), inner],
      [paragraph('e'), paragraph('f')],
    ];
    assert.deepEqual(parseCard('- a\nb\n  1. c\n  2. d\n\n- e\n\n  f\n\ng\n1968. h'), [
      { kind: 'list', start: null, items: outer },
      paragraph('g\n1968. h'),
    ]);
  });

  test('are tables, each row with as many cells as the heading', () => {
    assert.deepEqual(parseCard('a | b\n:--|--:\n| 1 \\| 2 | `3` | 4 |\n5|\n\n| no | table |'), [
      ...[
        {
          kind: 'table',
          head: ['a', 'b'],
          isNumber: [false, true],
          rows: [
            ['1 | 2', '`3`'],
            ['5', ''],
          ],
        },
      ],
      paragraph('| no | table |'),
    ]);
  });

  test('lose no text where nothing ends, however deep it is', () => {
    assert.deepEqual(parseCard('```a``` b\n~~~\na'), [
      paragraph('```a``` b'),
      { kind: 'code', text: 'a' },
    ]);
    for (const mark of ['>', '- ', '1. ', '#', '|', '* ']) {
      const deep = `${mark.repeat(5_000)}end`;
      assert.match(JSON.stringify(parseCard(deep)), /end/, mark);
    }
  });
});

describe('the marks of a text', () => {
  test('are code, emphasis and links to the web', () => {
    assert.deepEqual(parseMarks('a `*b*` **c *d*** [e](https://f.g) <https://h.i> ![j](k.png)'), [
      ...['a ', { kind: 'code', text: '*b*' }, ' '],
      ...[{ kind: 'strong', marks: ['c ', { kind: 'em', marks: ['d'] }] }, ' '],
      ...[{ kind: 'link', href: 'https://f.g', marks: ['e'] }, ' '],
      ...[{ kind: 'link', href: 'https://h.i', marks: ['https://h.i'] }, ' '],
      { kind: 'link', href: null, marks: ['j'] },
    ]);
  });

  test('are no deeper and take no longer to read for being many', () => {
    for (const mark of ['*', '**a', '**a*', '_a', '[', '``', '<https://']) {
      assert.ok(parseMarks(mark.repeat(20_000)).length > 0, mark);
    }
  });

  test('are not within words, formulas and links that run something', () => {
    for (const text of ['snake_case_name', '2 * 3 * 4', 'a ** b', '`', '[a]', '<b>&amp;</b>']) {
      assert.deepEqual(parseMarks(text), [text]);
    }
    assert.deepEqual(parseMarks('\\*a\\*').join(''), '*a*');
    const [link] = parseMarks('[x](javascript:alert(1))');
    assert.deepEqual(link, '[x](javascript:alert(1))');
    assert.deepEqual(parseMarks('[x](javascript:y)'), [{ kind: 'link', href: null, marks: ['x'] }]);
  });
});
