import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Line, splitLines } from '@headrace/shared/bulk/lines.ts';

interface Seen {
  number: number;
  startByte: number;
  endByte: number;
  text: string | null;
}

const OPTIONS = { maxLineBytes: 100 };

async function* inPieces(bytes: Buffer, sizes: () => number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const size = Math.max(1, sizes());
    // A piece of its own that is overwritten afterwards, as readers of files do.
    const piece = Buffer.from(bytes.subarray(at, at + size));
    at += size;
    yield piece;
    piece.fill(0x2a);
  }
}

async function split(
  bytes: Buffer,
  options: Parameters<typeof splitLines>[1] = OPTIONS,
  sizes = () => bytes.length,
): Promise<Seen[]> {
  const seen: Seen[] = [];
  for await (const lines of splitLines(inPieces(bytes, sizes), options)) {
    seen.push(...lines.map(seenOf));
  }
  return seen;
}

function seenOf({ bytes, ...line }: Line): Seen {
  return { ...line, text: bytes === null ? null : Buffer.from(bytes).toString('latin1') };
}

/** A generator of 32-bit numbers, the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

const MIXED = Buffer.from(
  `\ufefffirst\n\n  \t\r\nsecond\r\n\u0000third\u0000\n${'x'.repeat(101)}\n${'y'.repeat(100)}\nlast`,
);

describe('lines of a file', () => {
  test('are numbered from 1, blank ones counted but left out', async () => {
    const lines = await split(MIXED);
    assert.deepEqual(
      lines.map(({ number, text }) => [number, text]),
      [
        [1, 'first'],
        [4, 'second'],
        [5, '\u0000third\u0000'],
        [6, null],
        [7, 'y'.repeat(100)],
        [8, 'last'],
      ],
    );
  });

  test('are the same wherever the reads end', async () => {
    const whole = await split(MIXED);
    const next = random(1);
    for (let round = 0; round < 200; round++) {
      const sizes = () => 1 + (next() % (1 + (round % 40)));
      assert.deepEqual(await split(MIXED, OPTIONS, sizes), whole);
    }
  });

  test('are the same in a range that begins and ends with lines', async () => {
    const whole = await split(MIXED);
    for (let from = 0; from < whole.length; from++) {
      for (let to = from; to < whole.length; to++) {
        const [first, last] = [whole[from], whole[to]];
        assert.ok(first && last);
        const range = MIXED.subarray(first.startByte, last.endByte);
        const options = { ...OPTIONS, startByte: first.startByte, firstLine: first.number };
        assert.deepEqual(await split(range, options), whole.slice(from, to + 1));
      }
    }
  });

  test('cover every byte that is not of a blank line', async () => {
    const bytes = Buffer.from('a\nbb\nccc');
    const ranges = (await split(bytes)).map(({ startByte, endByte }) => [startByte, endByte]);
    assert.deepEqual(ranges, [
      [0, 2],
      [2, 5],
      [5, 8],
    ]);
  });

  test('are none in an empty file, and none in one of newlines', async () => {
    for (const text of ['', '\n', '\r\n\r\n', ' '])
      assert.deepEqual(await split(Buffer.from(text)), []);
  });

  test('of 50 MB are skipped without being kept', async () => {
    const piece = Buffer.alloc(1024 * 1024, 0x78);
    async function* long(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 50; i++) yield piece;
      yield Buffer.from('\nshort\n');
    }
    const lines: Seen[] = [];
    for await (const some of splitLines(long(), { maxLineBytes: 1024 * 1024 })) {
      for (const line of some) {
        lines.push(seenOf(line));
      }
    }
    assert.deepEqual(
      lines.map(({ number, text, endByte }) => [number, text, endByte]),
      [
        [1, null, 50 * 1024 * 1024 + 1],
        [2, 'short', 50 * 1024 * 1024 + 7],
      ],
    );
  });
});
