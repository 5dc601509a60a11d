import { z } from 'zod';
import type { ChunkPayload } from '../queues.ts';
import type { Line } from './lines.ts';

/** A byte range of the input that begins and ends with lines. */
interface Chunk {
  startByte: number;
  endByte: number;
  firstLine: number;
  rows: number;
}

interface ChunkLimits {
  maxRows: number;
  /** A single longer line is a chunk all the same. */
  maxBytes: number;
}

/** Cuts lines, in order, into chunks; the same ones whatever sizes the input was read in. */
export class ChunkCutter {
  readonly chunks: Chunk[] = [];
  readonly #limits: ChunkLimits;

  constructor(limits: ChunkLimits) {
    this.#limits = limits;
  }

  add({ number, startByte, endByte }: Line): void {
    const last = this.chunks.at(-1);
    const { maxRows, maxBytes } = this.#limits;
    if (last && last.rows < maxRows && endByte - last.startByte <= maxBytes) {
      last.rows += 1;
      last.endByte = endByte;
    } else {
      this.chunks.push({ startByte, endByte, firstLine: number, rows: 1 });
    }
  }
}

/** Lists instead of objects: a batch of ten million rows has ten thousand chunks. */
const PlanSchema = z.object({
  v: z.literal(1),
  chunks: z.array(z.tuple([z.int(), z.int(), z.int(), z.int()])),
  /** Lines whose custom_id an earlier line has, ascending. */
  duplicates: z.array(z.int()),
});

export function encodePlan(chunks: readonly Chunk[], duplicates: readonly number[]): string {
  const rows = chunks.map((chunk): [number, number, number, number] => [
    ...([chunk.startByte, chunk.endByte, chunk.firstLine, chunk.rows] as const),
  ]);
  return JSON.stringify({
    v: 1,
    chunks: rows,
    duplicates: [...duplicates],
  } satisfies z.infer<typeof PlanSchema>);
}

/** The chunks of a batch, as the planner cut them. */
export interface ChunkPlan {
  chunks: number;
  /** What the job of a chunk carries. @throws RangeError when there is no such chunk */
  payload(batch: string, index: number): ChunkPayload;
}

/** @throws ZodError when it is no plan of this version */
export function decodePlan(json: string): ChunkPlan {
  const { chunks, duplicates } = PlanSchema.parse(JSON.parse(json));
  return {
    chunks: chunks.length,
    payload(batch, index) {
      const chunk = chunks[index];
      if (chunk === undefined) throw new RangeError(`no chunk ${index} of ${chunks.length}`);
      const [start_byte, end_byte, first_line, rows] = chunk;
      const nextLine = chunks[index + 1]?.[2] ?? Number.POSITIVE_INFINITY;
      return {
        ...{ v: 1, batch, index, start_byte, end_byte, first_line, rows },
        duplicates: duplicates.filter((line) => line >= first_line && line < nextLine),
      };
    },
  };
}
