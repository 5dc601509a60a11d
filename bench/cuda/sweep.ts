import { cuda } from '../../apps/worker/src/inference/providers/cuda.ts';
import { samplePart } from '../documents.ts';
import { encodeDocuments } from '../encode.ts';
import type { Part } from '../part.ts';
import { bestBudget, startRawCeiling } from '../raw-ceiling.ts';
import { medianFigure } from '../statistics.ts';
import { usedMemoryMib } from './memory.ts';

export const CUDA_BUDGETS = [4_096, 16_384, 65_536] as const;
const SIZES = { full: { rows: 4_000, rounds: 3 }, quick: { rows: 400, rounds: 1 } };

/** The raw ceiling of each model: all cores of the machine, and the GPU with one and two sessions. */
export const sweepBudgets: Part = async ({ models, documents, quick, say, lifecycle }) => {
  const { rows, rounds } = quick ? SIZES.quick : SIZES.full;
  const figures = [];
  for (const folder of models) {
    const { name } = folder.manifest;
    const encoded = await encodeDocuments(folder, samplePart(documents, rows));
    const ids = encoded.map((row) => row.ids);
    const onCores = await startRawCeiling(folder, lifecycle);
    const budget = await bestBudget(onCores, ids.slice(0, ids.length / 4), 1);
    const { documentsPerS: cpuSpeed } = await onCores.measure(ids, budget);
    say(`${name}: all cores ${cpuSpeed.toFixed(0)} rows/s`);
    figures.push(medianFigure(`cuda.${name}.cpu_rows_per_s`, 'rows/s', [cpuSpeed]));
    for (const engines of [1, 2]) {
      const device = { provider: cuda, engines, budgets: CUDA_BUDGETS };
      const before = usedMemoryMib();
      const raw = await startRawCeiling(folder, lifecycle, device);
      for (const cells of CUDA_BUDGETS) {
        const speeds: number[] = [];
        for (let round = 0; round < rounds; round++) {
          speeds.push((await raw.measure(ids, cells)).documentsPerS);
        }
        const figure = medianFigure(`cuda.${name}.raw_${engines}x${cells}`, 'rows/s', speeds);
        const memory = usedMemoryMib() - before;
        say(`${figure.name}: ${figure.value.toFixed(0)} rows/s, ${memory} MiB of the GPU`);
        figures.push(
          figure,
          medianFigure(`cuda.${name}.memory_${engines}x${cells}`, 'MiB', [memory]),
        );
      }
    }
  }
  return figures;
};
