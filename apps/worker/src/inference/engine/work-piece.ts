import type { RunReport } from './engine.ts';
import type { RunValues } from './protocol.ts';
import type { BatchOutcome, EncodingOutcome, TensorBatch } from './tensor-batch.ts';

/** A submitted batch and what is known of its rows so far. */
export interface Ticket {
  batch: TensorBatch;
  /** Of every run that the batch needs. */
  deadlineMs: number;
  outcomes: (EncodingOutcome | undefined)[];
  /** Rows without an outcome. */
  open: number;
  inferMs: number;
  resolve: (outcome: BatchOutcome) => void;
  reject: (error: Error) => void;
}

/** Neighbouring rows `[from, to)` of a batch that are run together. */
export interface WorkPiece {
  ticket: Ticket;
  from: number;
  to: number;
  /** Points against these rows, see `pointsOf`; both halves inherit them. */
  points: number;
  /** Those that a single row got while it ran alone. */
  pointsAlone: number;
}

export interface RunLimits {
  /** Numbers per row. */
  width: number;
  /** Milliseconds from sending to the report, counted for runs that gave no time of their own. */
  waitedMs: number;
}

export function wholeBatch(ticket: Ticket): WorkPiece {
  return { ticket, from: 0, to: ticket.batch.encodings.length, points: 0, pointsAlone: 0 };
}

/** Suspects run alone in an engine: they may take it down. */
export function isSuspect(piece: WorkPiece): boolean {
  return piece.points > 0;
}

/**
 * Settles a piece's rows, or says what to run in its place: itself if it only waited in a dead
 * engine or the engine was killed from outside, its two halves if it is to blame.
 */
export function settle(piece: WorkPiece, report: RunReport, limits: RunLimits): WorkPiece[] {
  if (report.type === 'done') {
    piece.ticket.inferMs += report.inferMs;
    settleRows(piece, report, limits.width);
    return [];
  }
  if (report.type === 'lost' && !report.wasRunning) return [piece];
  piece.ticket.inferMs += limits.waitedMs;
  if (wasKilledByOthers(piece, report)) return [{ ...piece, points: piece.points + KILL_POINTS }];
  return piece.to - piece.from > 1 ? halve(piece, report) : retryOrFail(piece, report);
}

type Fault = Exclude<RunReport, { type: 'done' }>;

const CRASH_POINTS = 10;
/** A SIGKILL from outside is somebody's `kill -9`, or the kernel short of memory: no proof. */
const KILL_POINTS = 1;

/** A run that threw left its process alive, so its halves endanger nobody. */
function pointsOf(report: Fault): number {
  if (report.type === 'failed') return 0;
  return report.cause === 'killed' ? KILL_POINTS : CRASH_POINTS;
}

/** So often a whole batch is run once more: in halves its numbers could differ in the last bit. */
const WHOLE_KILLS = 3;

function wasKilledByOthers(piece: WorkPiece, report: Fault): boolean {
  const several = piece.to - piece.from > 1 && piece.points < WHOLE_KILLS * KILL_POINTS;
  return several && report.type === 'lost' && report.cause === 'killed';
}

function halve(piece: WorkPiece, report: Fault): WorkPiece[] {
  const middle = Math.ceil((piece.from + piece.to) / 2);
  const points = piece.points + pointsOf(report);
  return [
    { ...piece, to: middle, points },
    { ...piece, from: middle, points },
  ];
}

/**
 * A single row fails once it has crashed an engine alone, and that was the second crash it took
 * part in. So one of n rows costs ⌈log2 n⌉ + 1 crashes at most, and a row that was alone from the
 * beginning two: its first could be the late effect of another row. With kills from outside only
 * it is tried twenty times, so that a row that the kernel always kills has an end too.
 */
function retryOrFail(piece: WorkPiece, report: Fault): WorkPiece[] {
  if (report.type === 'failed') {
    const code = report.error === 'out_of_memory' ? 'out_of_memory' : 'row_crashed_engine';
    settleRow(piece.ticket, piece.from, { ok: false, code });
    return [];
  }
  const points = piece.points + pointsOf(report);
  const pointsAlone = piece.pointsAlone + pointsOf(report);
  if (pointsAlone < CRASH_POINTS || points < 2 * CRASH_POINTS) {
    return [{ ...piece, points, pointsAlone }];
  }
  const code = report.cause === 'timed_out' ? 'row_timed_out' : 'row_crashed_engine';
  settleRow(piece.ticket, piece.from, { ok: false, code });
  return [];
}

/** Rows get views of the run's one array: no copy. */
function settleRows(piece: WorkPiece, run: RunValues, width: number): void {
  for (let i = 0; i < piece.to - piece.from; i++) {
    settleRow(
      piece.ticket,
      piece.from + i,
      run.nonFinite?.[i] === 1
        ? { ok: false, code: 'non_finite_output' }
        : { ok: true, values: run.values.subarray(i * width, (i + 1) * width) },
    );
  }
}

function settleRow(ticket: Ticket, row: number, outcome: EncodingOutcome): void {
  ticket.outcomes[row] = outcome;
  ticket.open -= 1;
  if (ticket.open > 0) return;
  const outcomes = ticket.outcomes.filter((each) => each !== undefined);
  ticket.resolve({ outcomes, inferMs: ticket.inferMs });
}
