import type { TraceSpan, Tracing } from '@headrace/shared/tracing/tracing.ts';
import type { DeliveryState } from '@headrace/shared/webhooks/delivery.ts';
import type { AttemptResult } from './attempt.ts';

/** The span of one attempt of a delivery, if tracing is on. */
export interface AttemptTrace {
  /** What the receiver is told as `traceparent`; null: nothing. */
  traceparent: string | null;
  end(result: AttemptResult | null): void;
}

/** A part of the job's or batch's trace; while tracing is off here, that is passed on as it came. */
export function traceAttempt(tracing: Tracing | undefined, delivery: DeliveryState): AttemptTrace {
  if (tracing === undefined) return { traceparent: delivery.traceparent, end: () => {} };
  const span = tracing.start({
    name: 'webhook',
    kind: 'client',
    parent: delivery.traceparent ?? undefined,
    attributes: {
      'http.request.method': 'POST',
      'server.address': new URL(delivery.url).hostname,
      'headrace.delivery.id': delivery.id,
      'headrace.event': delivery.type,
      'headrace.of': delivery.of,
      'headrace.attempt': delivery.attempt_count + 1,
    },
  });
  return { traceparent: span.traceparent, end: (result) => endSpan(span, result) };
}

/** @param result null when our own end broke the attempt off */
function endSpan(span: TraceSpan, result: AttemptResult | null): void {
  if (result === null) {
    span.end({ error: 'canceled' });
    return;
  }
  const { outcome, attempt } = result;
  if (attempt.status !== null) span.set({ 'http.response.status_code': attempt.status });
  span.set({ 'headrace.outcome': outcome });
  const error = attempt.error ?? String(attempt.status);
  span.end({ error: outcome === 'delivered' ? undefined : error });
}
