import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { InputScratch } from './input-scratch.ts';
import { pool } from './pooling.ts';
import type { LoadTimings, OnnxEngineSpec } from './protocol.ts';
import type { Runner } from './runner.ts';

/**
 * Loads the graph.
 * @throws Error with ONNX Runtime's reason, or one that names the input or output that is missing
 */
export async function createOnnxRunner(
  spec: OnnxEngineSpec,
): Promise<{ run: Runner; timings: LoadTimings }> {
  const started = performance.now();
  // Imported here so that a null engine starts without it.
  const ort = await import('onnxruntime-node');
  const imported = performance.now();
  const session = await ort.InferenceSession.create(spec.modelPath, spec.sessionOptions);
  checkNames(session, spec);
  const timings = { importMs: imported - started, sessionMs: performance.now() - imported };

  const scratch = new InputScratch(spec.inputs);
  const run: Runner = async (rows) => {
    const { feeds, longest } = scratch.fill(rows, ort.Tensor);
    const begun = performance.now();
    const results = await session.run(feeds, [spec.output]);
    const values = reduce(results[spec.output], { lengths: rows.lengths, longest }, spec);
    const inferMs = performance.now() - begun;
    return { values, nonFinite: findNonFinite(values, rows.lengths.length, spec.width), inferMs };
  };
  return { run, timings };
}

function checkNames(session: InferenceSession, spec: OnnxEngineSpec): void {
  const declared: readonly string[] = spec.inputs;
  for (const name of session.inputNames) {
    if (!declared.includes(name)) throw new Error(`the graph wants ${name}, model.json has it not`);
  }
  for (const name of declared) {
    if (!session.inputNames.includes(name)) throw new Error(`the graph has no input ${name}`);
  }
  if (!session.outputNames.includes(spec.output)) {
    throw new Error(`the graph has no output ${spec.output}`);
  }
}

/** The output as `[rows × width]`, pooled if it is `[rows, longest, width]`. */
function reduce(
  tensor: Tensor | undefined,
  { lengths, longest }: { lengths: Int32Array; longest: number },
  spec: OnnxEngineSpec,
): Float32Array {
  const values = tensor?.data;
  if (tensor === undefined || !(values instanceof Float32Array)) {
    throw new Error(`output ${spec.output} is ${tensor?.type}, expected float32`);
  }
  const { width } = spec;
  const expected =
    spec.pooling === 'none' ? [lengths.length, width] : [lengths.length, longest, width];
  if (expected.join() !== tensor.dims.join()) {
    throw new Error(`output ${spec.output} is [${tensor.dims}], expected [${expected}]`);
  }
  if (spec.pooling === 'none') return values;
  return pool({ values, lengths, longest, width }, spec.pooling);
}

function findNonFinite(values: Float32Array, rows: number, width: number): Uint8Array | null {
  let flags: Uint8Array | null = null;
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    flags ??= new Uint8Array(rows);
    flags[Math.floor(i / width)] = 1;
  }
  return flags;
}
