import type { BatchDefinition } from '../bulk/batch.ts';
import type { SpanAttributes, TraceSpan, Tracing } from './tracing.ts';

/**
 * Begins the span of a stage of a batch: a trace of its own, with a link to the request that created
 * the batch, since thousands of chunks in one trace could not be read. Undefined while tracing is
 * off.
 */
export function startBatchSpan(
  tracing: Tracing | undefined,
  { id, traceparent }: Pick<BatchDefinition, 'id' | 'traceparent'>,
  { stage, ...attributes }: SpanAttributes & { stage: string },
): TraceSpan | undefined {
  return tracing?.start({
    name: `batch ${stage}`,
    kind: 'consumer',
    links: traceparent === undefined ? [] : [traceparent],
    attributes: { 'headrace.batch.id': id, ...attributes },
  });
}
