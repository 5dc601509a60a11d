/** ONNX Runtime gives JavaScript no error code: the text is all there is. */
const OUT_OF_MEMORY =
  /failed to allocate|out of memory|bad_alloc|allocation failed|CUBLAS_STATUS_ALLOC_FAILED/i;
const DEVICE_LOST = /(CUDA|CUDNN|CUBLAS) failure/i;

/**
 * What a run that threw says about its process. `device_lost`: every later run would fail as well,
 * whatever its rows, so the process must end.
 */
export function classifyRunError(message: string): 'out_of_memory' | 'device_lost' | 'run_failed' {
  if (OUT_OF_MEMORY.test(message)) return 'out_of_memory';
  return DEVICE_LOST.test(message) ? 'device_lost' : 'run_failed';
}
