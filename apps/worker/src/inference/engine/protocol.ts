import type { InferenceSession } from 'onnxruntime-node';

/** What an engine process loads. */
export type EngineSpec = OnnxEngineSpec | NullEngineSpec;

export type ModelInput = 'input_ids' | 'attention_mask' | 'token_type_ids';
type Pooling = 'none' | 'mean' | 'cls' | 'max';

export interface OnnxEngineSpec {
  kind: 'onnx';
  /** `name@version`, shown in the process list. */
  model: string;
  modelPath: string;
  inputs: readonly ModelInput[];
  output: string;
  /** Numbers per row: labels, or dimensions. */
  width: number;
  pooling: Pooling;
  sessionOptions: InferenceSession.SessionOptions;
  /** Variables that the engine process sets, unless it has them already. */
  environment: Readonly<Record<string, string>>;
}

/** Answers zeros at once: for benchmarks of everything but the model. Never a model's result. */
export interface NullEngineSpec {
  kind: 'null';
  model: string;
  width: number;
  /** As fast as which it pretends to be; 0: it answers at once. */
  cellsPerS: number;
}

interface LoadRequest {
  type: 'load';
  spec: EngineSpec;
}

/** Rows of one run, unpadded. Every array is exactly as long as its content. */
export interface PackedRows {
  /** The ids of all rows, one after the other. */
  ids: Int32Array;
  /** `[rows]` tokens of each row. */
  lengths: Int32Array;
  /** As `ids`, or null when every token has type 0. */
  typeIds: Int32Array | null;
}

export interface RunRequest extends PackedRows {
  type: 'run';
  id: number;
}

export interface LoadTimings {
  importMs: number;
  sessionMs: number;
}

interface ReadyReport extends LoadTimings {
  type: 'ready';
}

interface LoadFailure {
  type: 'load_failed';
  message: string;
}

/** What a run gave. */
export interface RunValues {
  /** `[rows × width]` */
  values: Float32Array;
  /** `[rows]`, 1 where a row holds a number that is not finite; null when none does. */
  nonFinite: Uint8Array | null;
  inferMs: number;
}

export interface RunDone extends RunValues {
  type: 'done';
  id: number;
}

/** The run threw, and the process lives. */
export interface RunFailure {
  type: 'failed';
  id: number;
  error: 'out_of_memory' | 'run_failed';
  message: string;
}

export type ToEngine = LoadRequest | RunRequest;
export type FromEngine = ReadyReport | LoadFailure | RunDone | RunFailure;

/** Both ends are ours and of one version: the tag says all. */
export function isToEngine(message: unknown): message is ToEngine {
  return hasType(message) && (message.type === 'load' || message.type === 'run');
}

export function isFromEngine(message: unknown): message is FromEngine {
  return hasType(message) && ['ready', 'load_failed', 'done', 'failed'].includes(message.type);
}

function hasType(message: unknown): message is { type: string } {
  return (
    typeof message === 'object' &&
    message !== null &&
    'type' in message &&
    typeof message.type === 'string'
  );
}
