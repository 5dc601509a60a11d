import type { InferenceSession } from 'onnxruntime-node';

/** What a raw engine process loads. */
export interface RawSetup {
  modelPath: string;
  sessionOptions: InferenceSession.SessionOptions;
  environment: Readonly<Record<string, string>>;
  inputs: string[];
  output: string;
}

/** Rows that run together, each unpadded. */
export interface RawBatch {
  rows: Int32Array[];
  longest: number;
}

export type ToRawEngine =
  | { type: 'load'; setup: RawSetup }
  | { type: 'run'; batches: RawBatch[] }
  | { type: 'stop' };

/** One run over all batches of a process. */
export interface RawPass {
  ms: number;
  cpuMs: number;
}
