import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AppError } from '@headrace/shared/errors.ts';
import { readModelsDir } from '@headrace/shared/manifests.ts';
import { bindTask } from '@headrace/shared/tasks/index.ts';
import {
  type ApartRequest,
  type ApartResult,
  ApartRun,
  type TokenizeAll,
} from '../../apps/worker/src/inference/apart-run.ts';
import type { PreparedBatch } from '../../apps/worker/src/inference/batcher.ts';
import { cutBatches } from '../../apps/worker/src/inference/cut-batches.ts';
import type { TokenizedRow } from '../../apps/worker/src/inference/encoding.ts';
import { TINY_MODELS } from '../helpers/api.ts';

const LIMITS = { tokenBudget: 64, overheadCells: 8 };
const { folders } = await readModelsDir(TINY_MODELS);
const task = taskOf('tiny-classifier');

function taskOf(name: string) {
  const folder = folders.find(({ manifest }) => manifest.name === name);
  assert.ok(folder);
  return bindTask(folder.manifest);
}

const encodingOf = (length: number) => ({ ids: new Int32Array(length), typeIds: null });

/** As many tokens as the text has characters, in one encoding for each word. */
function tokenized(text: string): TokenizedRow {
  const encodings = text.split(' ').map(({ length }) => encodingOf(length));
  return { encodings, tokens: text.length, truncated: false };
}

const tokenizeAll: TokenizeAll = async (rows) =>
  rows.map(({ input }) => {
    const text = 'text' in input ? input.text : '';
    return text === '!' ? new AppError('text_too_long') : tokenized(text);
  });

const ask = (...texts: string[]): ApartRequest => ({
  rows: texts.map((text) => ({ text, text_pair: null })),
  parameters: task.parse({}),
});

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

function start(requests: ApartRequest[], tokenize = tokenizeAll) {
  const handed: PreparedBatch[] = [];
  const answers: (ApartResult | undefined)[] = requests.map(() => undefined);
  const run = new ApartRun(requests, {
    ...{ task, limits: LIMITS, timeoutMs: 1_000, tokenizeAll: tokenize },
    batcher: { addPrepared: (batch) => void handed.push(batch) },
    onAnswer: (index, result) => {
      answers[index] = result;
    },
  });
  return { run, handed, answers };
}

/** Each encoding with logits that make its length known. */
function answer({ encodings, onOutcomes }: PreparedBatch): void {
  onOutcomes(encodings.map(({ ids }) => ({ ok: true, values: Float32Array.of(ids.length, 0, 0) })));
}

const lengths = (batches: { encoding: { ids: Int32Array } }[][]) =>
  batches.map((batch) => batch.map(({ encoding }) => encoding.ids.length));

describe('batches that are cut apart', () => {
  test('go from long to short, within the budget and with little padding', () => {
    const rows = [4, 16, 15, 4, 16, 16, 4, 14, 100].map((length) => ({
      encoding: encodingOf(length),
    }));
    assert.deepEqual(lengths(cutBatches(rows, LIMITS)), [[100], [16, 16, 16, 15], [14], [4, 4, 4]]);
  });

  test('hold every row once', () => {
    const rows = Array.from({ length: 500 }, (_, i) => ({
      encoding: encodingOf(1 + ((i * 37) % 61)),
    }));
    const batches = cutBatches(rows, LIMITS);
    assert.deepEqual(new Set(batches.flat()), new Set(rows));
    assert.equal(batches.flat().length, 500);
    for (const [longest = 0, ...rest] of lengths(batches)) {
      assert.ok(rest.length === 0 || (rest.length + 1) * longest <= LIMITS.tokenBudget);
    }
  });
});

describe('requests that run apart', () => {
  test('are answered each with its own rows, in whatever order the batches come back', async () => {
    const requests = [ask('aaaa', 'bb'), ask('cc dddddd'), ask('eeeeeeeeeeeeeeeeeeee')];
    const { run, handed, answers } = start(requests);
    await nextTurn();
    for (const batch of handed.toReversed()) answer(batch);
    await run.done;
    assert.deepEqual(
      answers.map((result) => result?.usage),
      [
        { rows: 2, tokens: 6, failed_rows: 0 },
        { rows: 1, tokens: 8, failed_rows: 0 },
        { rows: 1, tokens: 20, failed_rows: 0 },
      ],
    );
    const scores = answers.flatMap((result) =>
      (result?.output ?? []).map(({ labels, chunks }) => [labels?.[0]?.score, chunks ?? 1]),
    );
    const softmax = (x: number) => Math.exp(x) / (Math.exp(x) + 2);
    const expected = [
      [softmax(4), 1],
      [softmax(2), 1],
      [(softmax(2) + softmax(6)) / 2, 2],
      [softmax(20), 1],
    ];
    for (const [i, [score = 0, chunks]] of expected.entries()) {
      assert.ok(Math.abs((scores[i]?.[0] ?? 0) - score) < 1e-6, `${i}: ${scores[i]}`);
      assert.equal(scores[i]?.[1], chunks);
    }
  });

  test('name the row that is to blame, and answer the others', async () => {
    const { run, handed, answers } = start([ask('!'), ask('aa'), ask('bb')]);
    await nextTurn();
    assert.equal(handed.length, 1);
    handed[0]?.onOutcomes([
      { ok: false, code: 'row_crashed_engine' },
      { ok: true, values: Float32Array.of(1, 0, 0) },
    ]);
    await run.done;
    assert.deepEqual(
      answers.map((result) => result?.output[0]?.error?.code ?? null),
      ['text_too_long', 'row_crashed_engine', null],
    );
    assert.deepEqual(
      answers.map((result) => result?.usage.failed_rows),
      [1, 1, 0],
    );
  });

  test('have an end when there is nothing to run', async () => {
    await start([]).run.done;
    const { run, answers, handed } = start([ask('!')]);
    await run.done;
    assert.equal(answers[0]?.output[0]?.error?.code, 'text_too_long');
    assert.deepEqual(handed, []);
  });

  test('are not run any more once they are abandoned', async () => {
    const { run, handed, answers } = start([ask('aa'), ask('bbbbbbbbbbbbbbbbbbbbbb')]);
    await nextTurn();
    const [first, second] = handed;
    assert.ok(first && second?.isWanted);
    answer(first);
    run.abandon(new Error('unwanted'));
    assert.equal(second.isWanted, false);
    await assert.rejects(run.done, /unwanted/);
    answer(second);
    assert.equal(answers.filter((result) => result !== undefined).length, 1);
  });

  test('fail together when the tokenizer is gone', async () => {
    const { run, answers } = start([ask('aa')], () => Promise.reject(new AppError('not_ready')));
    await assert.rejects(run.done, { code: 'not_ready' });
    assert.deepEqual(answers, [undefined]);
  });
});
