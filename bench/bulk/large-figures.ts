import type { Figure } from '../part.ts';
import { medianFigure } from '../statistics.ts';
import type { LargeBatch, ScorePhase } from './large-batch.ts';
import { type MemorySample, PROCESSES } from './memory.ts';
import { phaseFigures } from './phase-figures.ts';

const MIB = 1024 ** 2;
/** After so much of a phase, what is kept in Redis has settled. */
const SETTLED = 0.1;

export function largeFigures(batch: LargeBatch): Figure[] {
  const { rows, seconds, tokenizerRowsPerS, input } = batch;
  const one = (name: string, unit: string, value: number) => medianFigure(name, unit, [value]);
  return [
    one('ratios.bulk_large', '', rows / seconds.total / tokenizerRowsPerS),
    one('bulk_large.rows', 'rows', rows),
    one('bulk_large.tokenizer_rows_per_s', 'rows/s', tokenizerRowsPerS),
    ...phaseFigures('bulk_large', rows, [seconds]),
    one('bulk_large.upload_s', 's', input.seconds),
    one('bulk_large.input_mib', 'MiB', input.bytes / MIB),
    ...memoryFigures(batch),
    ...redisFigures(batch),
  ];
}

/** `growth`: the most while all rows ran, over the most while a tenth of them did. */
function memoryFigures({ idle, samples, samplesOfTenth }: LargeBatch): Figure[] {
  const name = (process: string, what: string) => `bulk_large.${process}.${what}_mib`;
  const mib = (label: string, bytes: number) => medianFigure(label, 'MiB', [bytes / MIB]);
  return PROCESSES.flatMap((process) => {
    const rss = ({ rss }: MemorySample) => rss[process];
    const most = Math.max(...samples.map(rss));
    const mostOfTenth = Math.max(...samplesOfTenth.map(rss));
    return [
      mib(name(process, 'idle'), rss(idle)),
      mib(name(process, 'above_idle'), most - rss(idle)),
      mib(name(process, 'growth'), Math.max(0, most - mostOfTenth)),
    ];
  });
}

function redisFigures({ rows, idle, samples, score }: LargeBatch): Figure[] {
  const used = samples.map(({ redisUsed }) => redisUsed - idle.redisUsed);
  const slope = slopeOf(samples, score) / rows;
  return [
    medianFigure('bulk_large.redis_bytes_per_row', 'B', [Math.max(...used) / rows]),
    medianFigure('bulk_large.redis_slope_bytes_per_row', 'B', [slope]),
  ];
}

/** Growth of what Redis uses over a phase, by least squares over what follows its first tenth. */
function slopeOf(samples: readonly MemorySample[], { fromMs, untilMs }: ScorePhase): number {
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
