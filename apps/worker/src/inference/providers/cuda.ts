import { commonOptions, type Provider } from './provider.ts';

/**
 * Of the CUDA options onnxruntime-node 1.30 reads `deviceId` only and drops all others without a
 * word (`ParseExecutionProviders` in its session_options_helper.cc), so none is offered here: an
 * arena limit that does nothing would be worse than none. `use_tf32` is among those it drops, and it
 * is on by default: products of 10-bit mantissas would miss the golden rows, and a row's numbers
 * would depend on its company, so the variable that NVIDIA's libraries read turns it off.
 */
export const cuda: Provider = {
  name: 'cuda',
  environment: { NVIDIA_TF32_OVERRIDE: '0' },
  sessionOptions(settings) {
    if (!Number.isInteger(settings.deviceId) || settings.deviceId < 0) {
      throw new RangeError(`deviceId is ${settings.deviceId}, expected an integer from 0 up`);
    }
    return {
      ...commonOptions(settings),
      // What CUDA cannot run falls back to the CPU provider, which ONNX Runtime adds by itself.
      executionProviders: [{ name: 'cuda', deviceId: settings.deviceId }],
    };
  },
};
