import { processCpuMs } from '../cpu-time.ts';
import { CPU_PARTS } from '../http-round.ts';
import type { Figure } from '../part.ts';
import { medianFigure } from '../statistics.ts';
import type { System } from '../system.ts';

/** Processor time so far of what a batch needs, in milliseconds. */
export type BulkCpu = Record<(typeof BULK_PARTS)[number], number>;

const BULK_PARTS = [...CPU_PARTS, 'dispatcher'] as const;

/** @param dispatcher its process id */
export function bulkCpu(system: System, dispatcher: number): BulkCpu {
  const { machine: _, ...ours } = system.cpuTimes();
  return { ...ours, dispatcher: processCpuMs(dispatcher) };
}

/** @param spent between the beginning and the end of each batch of `rows` */
export function bulkCpuFigures(
  name: string,
  rows: number,
  spent: readonly { before: BulkCpu; after: BulkCpu }[],
): Figure[] {
  return BULK_PARTS.map((part) => {
    const perRow = spent.map(({ before, after }) => ((after[part] - before[part]) * 1000) / rows);
    return medianFigure(`${name}.cpu_us_per_row.${part}`, 'µs', perRow);
  });
}
