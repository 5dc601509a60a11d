import { AppError, type ErrorCode, isErrorCode } from '@headrace/shared/errors.ts';
import type { Job } from '@headrace/shared/jobs.ts';
import type { FinishedHub } from './finished-hub.ts';
import type { WaitOptions } from './job-watch.ts';
import type { Jobs } from './jobs.ts';
import { REPLAYED } from './middleware/idempotency.ts';
import type { Submission } from './submit.ts';

/** What a route that answers with `awaitOutput` may say instead. */
export const AWAITED_ERRORS: ErrorCode[] = [
  ...(['invalid_request', 'model_not_found', 'body_too_large', 'unsupported_media_type'] as const),
  ...(['too_many_rows', 'text_too_long', 'empty_text', 'overloaded', 'not_ready'] as const),
  ...(['rate_limited', 'idempotency_mismatch'] as const),
  ...(['wait_timeout', 'redis_unavailable', 'storage_nearly_full', 'tokenizer_failed'] as const),
  ...(['expired', 'row_crashed_engine', 'row_timed_out', 'non_finite_output'] as const),
  ...(['canceled', 'out_of_memory', 'attempts_exhausted', 'unsupported_payload'] as const),
];

type SucceededJob = Job & { output: NonNullable<Job['output']> };
interface Awaited {
  job: SucceededJob;
  /** Of the answer. */
  headers: Record<string, string>;
}

/**
 * A job for a caller who wants its answer and nothing else. When the caller is gone before it comes,
 * nobody has the job's id, so it is canceled.
 * @throws AppError, with the job's id, when it did not succeed in time
 */
export async function awaitOutput(
  { jobs, hub }: { jobs: Jobs; hub: FinishedHub },
  submission: Submission,
  options: WaitOptions,
): Promise<Awaited> {
  const { job, replayed } = await jobs.submitAndWait(submission, options);
  const headers = replayed ? REPLAYED : {};
  if (job.output !== null) return { job: { ...job, output: job.output }, headers };
  if (job.finished_at === null) throw await unfinished(job);
  const { code, message } = job.error ?? {};
  if (!isErrorCode(code)) throw new AppError('internal', { jobId: job.id });
  throw new AppError(code, { ...(message === undefined ? {} : { message }), jobId: job.id });

  async function unfinished({ id }: Job): Promise<AppError> {
    if (options.signal?.aborted && !submission.once) {
      // Under an Idempotency-Key the caller can ask again, so that one runs on. A job may have
      // finished at this moment; else it runs for nobody, and that is all.
      await jobs.cancel(submission.tenant, id).catch(() => undefined);
    }
    if (!hub.released) return new AppError('wait_timeout', { jobId: id });
    const message = 'The server is stopping; poll the job by its id.';
    return new AppError('not_ready', { message, jobId: id, retryAfterS: 1 });
  }
}
