import type { Encoding } from '../encoding.ts';

/** Rows that run together. They are padded to the longest inside the engine process. */
export interface TensorBatch {
  encodings: Encoding[];
  /** Tokens of the longest row. `encodings.length × longest` are the padded cells. */
  longest: number;
}

/** What one encoding came back with: the model's numbers `[width]`, or why there are none. */
export type EncodingOutcome =
  | { ok: true; values: Float32Array }
  | {
      ok: false;
      code: 'row_crashed_engine' | 'row_timed_out' | 'non_finite_output' | 'out_of_memory';
    };

export interface BatchOutcome {
  /** One per encoding, in the batch's order. */
  outcomes: EncodingOutcome[];
  /** Milliseconds of the run that answered; with bisection, of all runs together. */
  inferMs: number;
}
