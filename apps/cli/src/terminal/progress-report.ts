import { type Progress, progressBar, progressText, SpeedMeter } from './progress.ts';

export interface ErrorStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

interface ReportOptions {
  stream: ErrorStream;
  quiet: boolean;
  now?: () => number;
}

const TERMINAL_MS = 100;
const PLAIN_MS = 5_000;
const SPEED_WINDOW_MS = 10_000;
// Some terminals have no size, and say 0.
const UNKNOWN_COLUMNS = 80;
const CLEAR_LINE = '\r\x1b[K';

export type ProgressReport = ReturnType<typeof createProgressReport>;

/** Shows how far something is: one line that is written over on a terminal, else now and then one. */
export function createProgressReport({ stream, quiet, now = Date.now }: ReportOptions) {
  const isTerminal = stream.isTTY === true;
  const everyMs = isTerminal ? TERMINAL_MS : PLAIN_MS;
  let meter = new SpeedMeter(SPEED_WINDOW_MS);
  let label = '';
  let shown = '';
  // What is over sooner than that needs no line in a log.
  let shownAt = isTerminal ? Number.NEGATIVE_INFINITY : now();

  return {
    /** @param progress without its speed, which is measured here */
    show(progress: Omit<Progress, 'perSecond'>): void {
      if (quiet) return;
      const at = now();
      if (progress.label !== label) {
        label = progress.label;
        meter = new SpeedMeter(SPEED_WINDOW_MS);
      }
      const perSecond = meter.add(progress.done, at);
      if (at - shownAt < everyMs) return;
      const given = { ...progress, perSecond };
      const line = isTerminal
        ? progressBar(given, stream.columns || UNKNOWN_COLUMNS)
        : progressText(given);
      if (line === shown) return;
      stream.write(isTerminal ? `${CLEAR_LINE}${line}` : `${line}\n`);
      shown = line;
      shownAt = at;
    },

    /** Takes the line away, so that something else can be written. */
    clear(): void {
      if (isTerminal && shown !== '') stream.write(CLEAR_LINE);
      shown = '';
    },
  };
}
