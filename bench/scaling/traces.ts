import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../../tests/helpers/engines.ts';

/** Work that arrives together, spread evenly over some seconds. */
export interface Arrivals {
  fromS: number;
  forS: number;
  /** Jobs of one row, or chunks. */
  units: number;
  /** Of each unit. */
  tokens: number;
}

/** `bulk`: its units are chunks of 1,000 rows. */
export const TRACES = {
  steady: { kind: 'jobs', make: steady },
  diurnal: { kind: 'jobs', make: diurnal },
  burst: { kind: 'jobs', make: burst },
  night: { kind: 'bulk', make: night },
} as const;
export type TraceName = keyof typeof TRACES;
export const TRACE_NAMES = ['steady', 'diurnal', 'burst', 'night'] as const;

const HEADER = 'from_s,for_s,units,tokens_each';
const MINUTE_S = 60;
const SEED = 6;

export function readTrace(name: TraceName): Arrivals[] {
  const [header, ...lines] = readFileSync(pathOf(name), 'utf8').trim().split('\n');
  if (header !== HEADER) throw new Error(`${name} is no trace`);
  return lines.map((line) => {
    const [fromS = 0, forS = 0, units = 0, tokens = 0] = line.split(',').map(Number);
    return { fromS, forS, units, tokens };
  });
}

/** Makes the committed traces anew; the same ones each time. */
export function writeTraces(): void {
  for (const name of TRACE_NAMES) {
    const arrivals = TRACES[name].make(seededRandom(SEED));
    const lines = arrivals.map(({ fromS, forS, units, tokens }) =>
      [fromS, forS, units, tokens].join(','),
    );
    writeFileSync(pathOf(name), `${[HEADER, ...lines].join('\n')}\n`);
  }
}

function pathOf(name: TraceName): string {
  return fileURLToPath(new URL(`./traces/${name}.csv`, import.meta.url));
}

type Random = () => number;

/** An hour of short texts at 150 jobs a second, which keep two and a half workers busy. */
function steady(random: Random): Arrivals[] {
  return minutes(60, () => ({ perS: 150, tokens: 33 }), random);
}

/** A day between 10 and 250 jobs a second, longer texts in the evening. */
function diurnal(random: Random): Arrivals[] {
  return minutes(
    24 * 60,
    (minute) => {
      const day = (1 - Math.cos((2 * Math.PI * minute) / (24 * 60))) / 2;
      return { perS: 10 + 240 * day ** 2, tokens: minute < 18 * 60 ? 33 : 90 };
    },
    random,
  );
}

/** Nothing for ten minutes, then 50,000 jobs within five seconds, and a few after them. */
function burst(): Arrivals[] {
  return [
    { fromS: 600, forS: 5, units: 50_000, tokens: 33 },
    { fromS: 900, forS: 900, units: 900, tokens: 33 },
  ];
}

/** Three batches of long documents: 40, 120 and 8 chunks, each a window at a time in the queue. */
function night(): Arrivals[] {
  return [
    { fromS: 600, forS: 1, units: 40, tokens: 120_000 },
    { fromS: 3_600, forS: 1, units: 120, tokens: 90_000 },
    { fromS: 9_000, forS: 1, units: 8, tokens: 200_000 },
  ];
}

/** Arrivals of each minute, up to a tenth more or less than is said. */
function minutes(
  count: number,
  rate: (minute: number) => { perS: number; tokens: number },
  random: Random,
): Arrivals[] {
  return Array.from({ length: count }, (_, minute) => {
    const { perS, tokens } = rate(minute);
    const units = Math.round(perS * MINUTE_S * (0.9 + 0.2 * random()));
    return { fromS: minute * MINUTE_S, forS: MINUTE_S, units, tokens };
  });
}
