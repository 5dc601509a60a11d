import type { Figure } from '../part.ts';
import { medianFigure } from '../statistics.ts';
import type { BatchSeconds } from './bulk-batch.ts';

/** Speeds and times of batches of so many rows each. */
export function phaseFigures(
  name: string,
  rows: number,
  batches: readonly BatchSeconds[],
): Figure[] {
  const figure = (suffix: string, unit: string, of: (batch: BatchSeconds) => number) =>
    medianFigure(`${name}.${suffix}`, unit, batches.map(of));
  return [
    figure('rows_per_s', 'rows/s', ({ total }) => rows / total),
    figure('scored_rows_per_s', 'rows/s', ({ score }) => rows / score),
    figure('plan_s', 's', ({ plan }) => plan),
    figure('score_s', 's', ({ score }) => score),
    figure('assemble_s', 's', ({ assemble }) => assemble),
  ];
}
