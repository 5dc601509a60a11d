import { bytes, count, duration } from './numbers.ts';

export interface Progress {
  /** What is going on: `scoring`. */
  label: string;
  done: number;
  /** Null where nobody knows. */
  total: number | null;
  unit: 'rows' | 'bytes';
  /** Of late. */
  perSecond: number | null;
  /** Why it does not go on. */
  note?: string | null;
}

const LONGEST_BAR = 24;
const SHORTEST_BAR = 8;

/** One line for a terminal, with a bar where the end is known and there is room for one. */
export function progressBar(progress: Progress, columns: number): string {
  const text = progressText(progress);
  // One column stays free: a full line would be broken, and could not be written over.
  const room = columns - 2 - text.length;
  const part = partOf(progress);
  if (part === null || room < SHORTEST_BAR) return text.slice(0, Math.max(0, columns - 1));
  const width = Math.min(LONGEST_BAR, room);
  const full = Math.round(part * width);
  const bar = `${'█'.repeat(full)}${'░'.repeat(width - full)}`;
  return `${progress.label} ${bar} ${figures(progress)}`;
}

/** The same for a log. */
export function progressText(progress: Progress): string {
  return `${progress.label} ${figures(progress)}`.trimEnd();
}

function figures(progress: Progress): string {
  const { done, total, unit, perSecond, note } = progress;
  const part = partOf(progress);
  const percent = part === null ? [] : [`${Math.floor(part * 100)} %`];
  const some = done === 0 ? [] : [amount(done, unit)];
  const whole = total === null ? some : [`${withoutUnit(done, unit)} of ${amount(total, unit)}`];
  const speed = perSecond === null ? [] : [`${amount(perSecond, unit)}/s`];
  const left = secondsLeft(progress);
  const rest = left === null ? [] : [`${duration(left)} left`];
  const why = note === null || note === undefined ? [] : [note];
  return [...percent, ...whole, ...speed, ...rest, ...why].join(' · ');
}

function partOf({ done, total }: Progress): number | null {
  if (total === null) return null;
  return total === 0 ? 1 : Math.min(1, done / total);
}

function secondsLeft({ done, total, perSecond }: Progress): number | null {
  if (total === null || perSecond === null || perSecond <= 0 || done >= total) return null;
  return (total - done) / perSecond;
}

function amount(value: number, unit: Progress['unit']): string {
  return unit === 'bytes' ? bytes(value) : `${count(value)} rows`;
}

function withoutUnit(value: number, unit: Progress['unit']): string {
  return unit === 'bytes' ? bytes(value) : count(value);
}

/** The speed of the last while, since an average over pauses says little about what comes. */
export class SpeedMeter {
  readonly #windowMs: number;
  #samples: { atMs: number; done: number }[] = [];

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** @returns how much a second; null while nobody can know */
  add(done: number, atMs: number): number | null {
    // A new try begins anew.
    if (done < (this.#samples.at(-1)?.done ?? 0)) this.#samples = [];
    this.#samples.push({ atMs, done });
    const sinceMs = atMs - this.#windowMs;
    while (this.#samples.length > 2 && (this.#samples[0]?.atMs ?? atMs) < sinceMs) {
      this.#samples.shift();
    }
    const first = this.#samples[0];
    if (first === undefined || atMs <= first.atMs || done <= first.done) return null;
    return ((done - first.done) * 1000) / (atMs - first.atMs);
  }
}
