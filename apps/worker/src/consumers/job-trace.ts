import type { JobPayload } from '@headrace/shared/queues.ts';
import type { TraceSpan, Tracing } from '@headrace/shared/tracing/tracing.ts';
import type { InferenceResult } from '../inference/result.ts';
import type { TakenJob } from './taken-job.ts';

interface JobTraceDeps {
  tracing: Tracing;
  queue: string;
}

/** The spans of one job in a worker, from its fetch on, and of the wait before. */
export class JobTrace {
  readonly #tracing: Tracing;
  readonly #span: TraceSpan;
  readonly #begunMs = Date.now();
  #inferredMs = this.#begunMs;

  constructor(job: TakenJob, payload: JobPayload, { tracing, queue }: JobTraceDeps) {
    this.#tracing = tracing;
    const { traceparent: parent, model, created_ms, rows } = payload;
    const { id, startedMs, starts } = job;
    tracing
      .start({ name: 'queue', parent, startMs: created_ms, attributes: { 'headrace.job.id': id } })
      .end({ atMs: startedMs });
    this.#span = tracing.start({
      name: 'job',
      kind: 'consumer',
      parent,
      startMs: startedMs,
      attributes: {
        'messaging.system': 'bullmq',
        'messaging.destination.name': queue,
        'headrace.job.id': id,
        'headrace.model': model,
        'headrace.rows': rows.length,
        'headrace.starts': starts,
      },
    });
  }

  get traceparent(): string {
    return this.#span.traceparent;
  }

  /** @param batches spans of the tensor batches that its rows were in */
  inferred(result: InferenceResult, batches: string[]): void {
    const { tokenizeMs, batchWaitMs } = result.timings;
    const { tokens, padded_cells, failed_rows } = result.usage;
    const nowMs = Date.now();
    const tokenizedMs = Math.min(nowMs, this.#begunMs + tokenizeMs);
    const runMs = Math.min(nowMs, tokenizedMs + batchWaitMs);
    this.#stage('tokenize', [this.#begunMs, tokenizedMs]);
    if (batches.length > 0) {
      this.#stage('batch', [tokenizedMs, runMs]);
      this.#stage('infer', [runMs, nowMs], batches);
    }
    this.#inferredMs = nowMs;
    this.#span.set({
      'headrace.tokens': tokens,
      'headrace.padded_cells': padded_cells,
      'headrace.failed_rows': failed_rows,
    });
  }

  /** @param stored false when the job had its end already */
  stored(stored: boolean): void {
    this.#stage('result', [this.#inferredMs, Date.now()]);
    if (!stored) this.#span.set({ 'headrace.refused': true });
  }

  /** @param error code of the job's error, or why it has not ended here */
  end(error?: string): void {
    this.#span.end({ error });
  }

  #stage(name: string, [startMs, atMs]: [number, number], links: string[] = []): void {
    const { traceparent: parent } = this.#span;
    this.#tracing.start({ name, parent, startMs, links }).end({ atMs });
  }
}
