import type { Figure } from '../part.ts';
import { medianFigure } from '../statistics.ts';
import type { LargeBatch, Phase } from './large-batch.ts';
import { type MemorySample, PROCESSES } from './memory.ts';
import { phaseFigures } from './phase-figures.ts';

const MIB = 1024 ** 2;
/** What a phase has settled to after so much of it is what it may stay at: 1 M rows of 10 M. */
const SETTLED = 0.1;

export function largeFigures(batch: LargeBatch): Figure[] {
  const { rows, seconds, tokenizerRowsPerS, uploadSeconds, inputBytes } = batch;
  const one = (name: string, unit: string, value: number) => medianFigure(name, unit, [value]);
  return [
    one('ratios.bulk_large', '', rows / seconds.total / tokenizerRowsPerS),
    one('bulk_large.rows', 'rows', rows),
    one('bulk_large.tokenizer_rows_per_s', 'rows/s', tokenizerRowsPerS),
    ...phaseFigures('bulk_large', rows, [seconds]),
    one('bulk_large.upload_s', 's', uploadSeconds),
    one('bulk_large.input_mib', 'MiB', inputBytes / MIB),
    ...memoryFigures(batch),
    ...redisFigures(batch),
  ];
}

function memoryFigures({ idle, samples, phases }: LargeBatch): Figure[] {
  const name = (process: string, what: string) => `bulk_large.${process}.${what}_mib`;
  const mib = (label: string, bytes: number) => medianFigure(label, 'MiB', [bytes / MIB]);
  return PROCESSES.flatMap((process) => {
    const rss = ({ rss }: MemorySample) => rss[process];
    const growths = phases.map((phase) => growthOf(samples, phase, rss));
    return [
      mib(name(process, 'idle'), rss(idle)),
      mib(name(process, 'above_idle'), Math.max(...samples.map(rss)) - rss(idle)),
      mib(name(process, 'growth'), Math.max(...growths)),
    ];
  });
}

/** The most after the first tenth of a phase, over the most within it; 0 if it was less. */
function growthOf(
  samples: readonly MemorySample[],
  { fromMs, untilMs }: Phase,
  pick: (sample: MemorySample) => number,
): number {
  const settledMs = fromMs + SETTLED * (untilMs - fromMs);
  const most = (from: number, until: number) =>
    Math.max(...samples.filter(({ atMs }) => atMs >= from && atMs < until).map(pick));
  const growth = most(settledMs, untilMs) - most(fromMs, settledMs);
  return Number.isFinite(growth) ? Math.max(0, growth) : 0;
}

function redisFigures({ rows, idle, samples, phases }: LargeBatch): Figure[] {
  const used = samples.map(({ redisUsed }) => redisUsed - idle.redisUsed);
  const score = phases.find(({ name }) => name === 'score');
  const slope = score === undefined ? 0 : slopeOf(samples, score) / rows;
  return [
    medianFigure('bulk_large.redis_bytes_per_row', 'B', [Math.max(...used) / rows]),
    medianFigure('bulk_large.redis_slope_bytes_per_row', 'B', [slope]),
  ];
}

/** Growth of what Redis uses over a phase, by least squares over what follows its first tenth. */
function slopeOf(samples: readonly MemorySample[], { fromMs, untilMs }: Phase): number {
  const settledMs = fromMs + SETTLED * (untilMs - fromMs);
  const points = samples
    .filter(({ atMs }) => atMs >= settledMs && atMs < untilMs)
    .map(({ atMs, redisUsed }) => ({ x: (atMs - fromMs) / (untilMs - fromMs), y: redisUsed }));
  const meanOf = (pick: (point: { x: number; y: number }) => number) =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const [x, y] = [meanOf((point) => point.x), meanOf((point) => point.y)];
  const covariance = meanOf((point) => (point.x - x) * (point.y - y));
  const variance = meanOf((point) => (point.x - x) ** 2);
  return variance > 0 ? covariance / variance : 0;
}
