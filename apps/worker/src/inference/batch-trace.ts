import type { TraceSpan, Tracing } from '@headrace/shared/tracing/tracing.ts';
import type { BatcherRow } from './batcher.ts';

/**
 * Begins the span of a tensor batch: a trace of its own, with links to the jobs of its rows, since it
 * is a part of none of them alone. Undefined while tracing is off.
 */
export function createBatchTrace(
  tracing: Tracing | undefined,
  model: string,
): ((rows: readonly BatcherRow[]) => TraceSpan) | undefined {
  if (tracing === undefined) return undefined;
  return (rows) => {
    const jobs = new Set(rows.map(({ trace }) => trace));
    return tracing.start({
      name: 'tensor batch',
      links: [...jobs].filter((trace) => trace !== undefined),
      attributes: { 'headrace.model': model },
    });
  };
}
