import type { InferenceSession } from 'onnxruntime-node';

/** What configuration says about the device. */
export interface ProviderSettings {
  /** Threads of one engine's operators, at least 1. */
  threads: number;
  /** Ordinal of the accelerator, from 0. Without meaning on a CPU. */
  deviceId: number;
}

/** One way of running a graph: turns our settings into the options of an ONNX session. */
export interface Provider {
  readonly name: string;
  /** For the engine process, before it loads a library. What the operator has set goes before it. */
  readonly environment: Readonly<Record<string, string>>;
  /** @throws RangeError for a setting that ONNX Runtime would take for "choose by yourself" */
  sessionOptions(settings: ProviderSettings): InferenceSession.SessionOptions;
}

/**
 * The options that hold for every provider: an accelerator leaves some operators on the CPU, and
 * those must not spread over the cores that the supervisor and the API need.
 */
export function commonOptions(settings: ProviderSettings): InferenceSession.SessionOptions {
  if (!Number.isInteger(settings.threads) || settings.threads < 1) {
    // 0 means "all cores of the machine" to ONNX Runtime, which in a container is a wrong number.
    throw new RangeError(`threads is ${settings.threads}, expected an integer from 1 up`);
  }
  return {
    intraOpNumThreads: settings.threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // A pattern is kept for every shape that was ever seen; ours differ from run to run.
    enableMemPattern: false,
    logSeverityLevel: 3,
    // Values must be strings. Spinning burns the core that the next batch is prepared on.
    extra: {
      session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } },
    },
  };
}
