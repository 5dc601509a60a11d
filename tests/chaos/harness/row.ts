/** How much of a fault is inflicted: in CI, in a quick look, in the run that counts. */
export type Scale = 'short' | 'quick' | 'long';

/** Plain figures of a run; times are in seconds or milliseconds as the name says. */
export type Figures = Record<string, number | string>;

export interface RowResult {
  figures: Figures;
  /** Promises that were broken; never because a machine is slow. */
  missed: string[];
  /** Times beyond their goal. */
  late: string[];
  /** Why the fault could not be inflicted here: nothing is shown, neither well nor badly. */
  skipped?: string;
  notes?: string;
}

export interface RowContext {
  /** Tells the reader of the terminal how far the row is. */
  say(text: string): void;
}

/** One line of the table in RELIABILITY.md. */
export interface ChaosRow {
  /** Number of the fault; those with a name are the sum of several. */
  row: number | 'batch' | 'requests' | 'rolling' | 'soak';
  title: string;
  goal: string;
  /** What was measured on BullMQ alone with its default options. */
  plainBullmq: string;
  /** Figures that the goal is about, by name. */
  headline: string[];
  run(context: RowContext, scale: Scale): Promise<RowResult>;
}

/**
 * Names the promises that do not hold. Those under `times` depend on the machine; CI looks at the
 * others only.
 */
export function judge(
  promises: Record<string, boolean>,
  times: Record<string, boolean> = {},
): Pick<RowResult, 'missed' | 'late'> {
  const broken = (all: Record<string, boolean>) => Object.keys(all).filter((name) => !all[name]);
  return { missed: broken(promises), late: broken(times) };
}

/** A row that this machine cannot run. */
export function skip(reason: string): RowResult {
  return { figures: {}, missed: [], late: [], skipped: reason };
}

export type Verdict = 'passed' | 'failed' | 'skipped';

export function verdictOf({ missed, late, skipped }: RowResult): Verdict {
  if (skipped !== undefined) return 'skipped';
  return missed.length === 0 && late.length === 0 ? 'passed' : 'failed';
}

/** A row that was run. */
export interface Report extends RowResult {
  row: ChaosRow['row'];
  title: string;
  verdict: Verdict;
  seconds: number;
}
