import { AppError } from '@headrace/shared/errors.ts';
import type { Tracing } from '@headrace/shared/tracing/tracing.ts';
import type { Submit } from './submit.ts';

/** Gives each submission a span, which travels with the job to whoever works on it. */
export function traceSubmit(submit: Submit, tracing: Tracing): Submit {
  return async (submission) => {
    const span = tracing.start({
      name: 'submit',
      kind: 'producer',
      parent: submission.caller.trace,
    });
    try {
      const submitted = await submit({ ...submission, trace: span.traceparent });
      const { id, payload, model, replayed } = submitted;
      span.set({
        'messaging.system': 'bullmq',
        'messaging.destination.name': model.queue,
        'headrace.job.id': id,
        'headrace.model': payload.model,
        'headrace.priority': payload.priority,
        'headrace.rows': payload.rows.length,
        'headrace.tokens.estimated': payload.tokens,
        'headrace.replayed': replayed,
      });
      span.end();
      return submitted;
    } catch (error) {
      span.end({ error: error instanceof AppError ? error.code : 'internal' });
      throw error;
    }
  };
}
