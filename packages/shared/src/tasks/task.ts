import { z } from 'zod';
import type { Column } from '../bulk/table.ts';
import type { Manifest } from '../manifests.ts';

/** How a row that has more tokens than the model takes is treated. */
export const TaskOverflow = z.enum(['truncate', 'error', 'chunk']);
export type Overflow = z.infer<typeof TaskOverflow>;

export interface TaskParameters {
  overflow: Overflow;
}

/**
 * One kind of inference. A task knows what a caller may ask for and how the numbers that an engine
 * gives for a row become that row's answer; it knows nothing of queues or of ONNX.
 */
export interface Task<M extends Manifest, P extends TaskParameters, Output> {
  readonly name: M['task'];
  /** Accepts `{}`: every parameter has a default that depends on the model at most in `resolve`. */
  readonly parameters: z.ZodType<P>;
  /** The zod schema of one row's answer, without `tokens` and `truncated`. */
  readonly output: z.ZodType<Output>;
  /**
   * Checks what the schema alone cannot: limits that depend on the model.
   * @throws AppError `invalid_request` with `param`
   */
  check(parameters: P, manifest: M): void;
  /** How the engine turns `[rows, tokens, hidden]` into `[rows, hidden]`; `none`: it is `[rows, width]`. */
  pooling(manifest: M): 'none' | 'mean' | 'cls' | 'max';
  /**
   * The engine's numbers of one encoding, `[width]`, as the scores or the vector that may be
   * averaged over the chunks of a long row.
   */
  activate(raw: Float32Array, parameters: P, manifest: M): Float32Array;
  /** The answer from the activated (and averaged) numbers, `[width]`. */
  decode(activated: Float32Array, parameters: P, manifest: M): Output;
  /** The columns that an answer takes in a table; they depend on nothing but these. */
  columns(parameters: P, manifest: M): Column[];
  /** The values of an answer in these columns. */
  cells(output: Output, parameters: P, manifest: M): unknown[];
}
