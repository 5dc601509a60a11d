import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RunReport } from '../../apps/worker/src/inference/engine/engine.ts';
import type {
  BatchOutcome,
  EncodingOutcome,
} from '../../apps/worker/src/inference/engine/tensor-batch.ts';
import {
  isSuspect,
  settle,
  type Ticket,
  type WorkPiece,
  wholeBatch,
} from '../../apps/worker/src/inference/engine/work-piece.ts';

const CRASH: RunReport = { type: 'lost', cause: 'crashed', wasRunning: true };
const HANG: RunReport = { type: 'lost', cause: 'timed_out', wasRunning: true };
const KILL: RunReport = { type: 'lost', cause: 'killed', wasRunning: true };
const PREPARED: RunReport = { type: 'lost', cause: 'crashed', wasRunning: false };
const OUT_OF_MEMORY: RunReport = { type: 'failed', id: 1, error: 'out_of_memory', message: '' };
const THROWN: RunReport = { type: 'failed', id: 1, error: 'run_failed', message: '' };
const LIMITS = { width: 2, waitedMs: 10 };

function ticketOf(rows: number): { ticket: Ticket; answers: BatchOutcome[] } {
  const answers: BatchOutcome[] = [];
  const encodings = Array.from({ length: rows }, (_, i) => ({
    ids: Int32Array.of(i),
    typeIds: null,
  }));
  const ticket: Ticket = {
    batch: { encodings, longest: 1 },
    deadlineMs: 1000,
    outcomes: new Array(rows).fill(undefined),
    open: rows,
    inferMs: 0,
    resolve: (outcome) => answers.push(outcome),
    reject: assert.fail,
  };
  return { ticket, answers };
}

/** Row r gives [r, -r]; the run took one millisecond. */
function done(piece: WorkPiece, nonFinite: number[] = []): RunReport {
  const rows = piece.to - piece.from;
  const values = Float32Array.from({ length: rows * 2 }, (_, i) => {
    const row = piece.from + Math.floor(i / 2);
    return i % 2 === 0 ? row : -row;
  });
  const flags = Uint8Array.from({ length: rows }, (_, i) =>
    nonFinite.includes(piece.from + i) ? 1 : 0,
  );
  return {
    type: 'done',
    id: 1,
    values,
    nonFinite: nonFinite.length > 0 ? flags : null,
    inferMs: 1,
  };
}

function good(row: number): EncodingOutcome {
  return { ok: true, values: Float32Array.of(row, -row) };
}

/** Runs a batch to its end, piece by piece; rows in `faults` bring their report about. */
function runOut(rows: number, faults: ReadonlyMap<number, RunReport>) {
  const { ticket, answers } = ticketOf(rows);
  const stack = [wholeBatch(ticket)];
  let losses = 0;
  for (let piece = stack.pop(); piece !== undefined; piece = stack.pop()) {
    const { from, to } = piece;
    const fault = [...faults].find(([row]) => row >= from && row < to)?.[1];
    if (fault?.type === 'lost') losses++;
    stack.push(...settle(piece, fault ?? done(piece), LIMITS));
  }
  assert.equal(answers.length, 1);
  return { outcomes: answers[0]?.outcomes ?? [], losses };
}

describe('settling a piece of work', () => {
  test('gives each row its own numbers, in order', () => {
    const { ticket, answers } = ticketOf(3);
    const piece = wholeBatch(ticket);
    assert.deepEqual(settle(piece, done(piece), LIMITS), []);
    assert.deepEqual(answers, [{ outcomes: [good(0), good(1), good(2)], inferMs: 1 }]);
  });

  test('fails a row that is not finite and no other', () => {
    const { ticket, answers } = ticketOf(2);
    const piece = wholeBatch(ticket);
    settle(piece, done(piece, [1]), LIMITS);
    const bad = { ok: false, code: 'non_finite_output' };
    assert.deepEqual(answers[0]?.outcomes, [good(0), bad]);
  });

  test('runs what only waited in a dead engine again as it was', () => {
    const piece = wholeBatch(ticketOf(4).ticket);
    assert.deepEqual(settle(piece, PREPARED, LIMITS), [piece]);
    assert.equal(isSuspect(piece), false);
  });

  test('halves what ran in a dead engine, and suspects both halves', () => {
    const halves = settle(wholeBatch(ticketOf(5).ticket), CRASH, LIMITS);
    assert.deepEqual(
      halves.map(({ from, to }) => [from, to]),
      [
        [0, 3],
        [3, 5],
      ],
    );
    assert.ok(halves.every(isSuspect));
  });

  test('runs what ran in an engine that was killed from outside again as a whole, three times', () => {
    const whole = wholeBatch(ticketOf(4).ticket);
    let pieces = [whole];
    for (let kill = 0; kill < 3; kill++) {
      pieces = pieces.flatMap((piece) => settle(piece, KILL, LIMITS));
      assert.deepEqual(
        pieces.map(({ from, to }) => [from, to]),
        [[0, 4]],
      );
    }
    assert.equal(pieces.flatMap((piece) => settle(piece, KILL, LIMITS)).length, 2);
  });

  test('suspects no half of a run that threw: its engine lives', () => {
    const halves = settle(wholeBatch(ticketOf(4).ticket), OUT_OF_MEMORY, LIMITS);
    assert.equal(halves.length, 2);
    assert.ok(!halves.some(isSuspect));
  });

  test('answers once, when the last piece is settled, with the time of all runs', () => {
    const { ticket, answers } = ticketOf(2);
    const [left, right] = settle(wholeBatch(ticket), CRASH, LIMITS);
    assert.ok(left !== undefined && right !== undefined);
    settle(right, done(right), LIMITS);
    assert.equal(answers.length, 0);
    settle(left, done(left), LIMITS);
    assert.deepEqual(answers, [{ outcomes: [good(0), good(1)], inferMs: 12 }]);
  });
});

describe('bisection', () => {
  test('finds one poison row among n in at most ⌈log2 n⌉ + 1 crashes', () => {
    for (let rows = 2; rows <= 33; rows++) {
      for (let poison = 0; poison < rows; poison++) {
        const { outcomes, losses } = runOut(rows, new Map([[poison, CRASH]]));
        const failed = outcomes.flatMap((outcome, i) => (outcome.ok ? [] : [i]));
        assert.deepEqual(failed, [poison]);
        assert.ok(losses <= Math.ceil(Math.log2(rows)) + 1, `${losses} crashes for ${rows} rows`);
      }
    }
  });

  test('gives every poison row of a batch its own code', () => {
    const faults = new Map<number, RunReport>([
      [0, CRASH],
      [3, HANG],
      [4, OUT_OF_MEMORY],
      [7, THROWN],
    ]);
    const { outcomes } = runOut(8, faults);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.ok ? null : outcome.code)),
      [
        'row_crashed_engine',
        null,
        null,
        'row_timed_out',
        'out_of_memory',
        null,
        null,
        'row_crashed_engine',
      ],
    );
  });

  test('does not believe the first crash of a row that was always alone', () => {
    assert.equal(runOut(1, new Map([[0, CRASH]])).losses, 2);
    const again = settle(wholeBatch(ticketOf(1).ticket), CRASH, LIMITS);
    assert.equal(again.length, 1);
  });

  test('does not fail a row out of a crashed batch for being killed from outside', () => {
    const { ticket, answers } = ticketOf(2);
    const [half] = settle(wholeBatch(ticket), CRASH, LIMITS);
    let piece = half;
    for (let kill = 0; kill < 5; kill++) {
      assert.ok(piece !== undefined);
      [piece] = settle(piece, KILL, LIMITS);
    }
    assert.ok(piece !== undefined);
    settle(piece, done(piece), LIMITS);
    assert.deepEqual(ticket.outcomes[0], good(0));
    assert.equal(answers.length, 0);
  });

  test('gives a row up that is killed whenever it runs, after twenty kills', () => {
    const { outcomes, losses } = runOut(1, new Map([[0, KILL]]));
    assert.deepEqual(outcomes, [{ ok: false, code: 'row_crashed_engine' }]);
    assert.equal(losses, 20);
  });
});
