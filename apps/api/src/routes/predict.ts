import { AppError, type ErrorCode, isErrorCode } from '@headrace/shared/errors.ts';
import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import { parseJobRequest } from '@headrace/shared/job-request.ts';
import type { Job } from '@headrace/shared/jobs.ts';
import { z } from '@hono/zod-openapi';
import type { AppDeps } from '../app.ts';
import type { JobView } from '../job-waits.ts';
import { answerJson } from '../middleware/answer.ts';
import { readJson } from '../middleware/json-body.ts';
import { expectNoQuery } from '../middleware/query.ts';
import { tenantOf } from '../middleware/tenant.ts';
import { type ApiApp, addRoute, json } from './add-route.ts';

const PredictRequest = z
  .strictObject({ text: z.string().openapi({ example: 'The delivery was quick.' }) })
  .meta({ id: 'PredictRequest' });
const Prediction = z
  .object({ label: z.string(), score: z.number() })
  .meta({ id: 'Prediction', example: { label: 'positive', score: 0.99 } });

export function addPredictRoute(app: ApiApp, { jobs, models, hub, limits }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/predict',
      summary: 'Classify one text with the default model and wait for the answer',
      tags: ['Predict'],
      request: {
        body: { required: true, content: { 'application/json': { schema: PredictRequest } } },
      },
      answers: { 200: json('The best label.', Prediction) },
      errors: PREDICT_ERRORS,
    },
    async (c) => {
      expectNoQuery(c);
      const parsed = PredictRequest.safeParse(await readJson(c, limits));
      if (!parsed.success) throw invalidRequest(parsed.error);
      const model = models.resolve(null);
      if (model.task.name !== 'text-classification') {
        throw new AppError('invalid_request', {
          message: `The default model ${model.ref} does not classify texts; use /v1/jobs.`,
        });
      }
      const body = { model: model.ref, input: parsed.data.text, parameters: { top_k: 1 } };
      const request = parseJobRequest(body, limits.maxRows);
      const options = { waitMs: limits.predictTimeoutS * 1000, signal: c.req.raw.signal };
      const submission = { tenant: tenantOf(c), request };
      const { job } = await namingText(jobs.submitAndWait(submission, options));
      return answerJson(c, predictionOf(job, hub.released));
    },
  );
}

/** What a submission says of its `input` is said of this route's `text`. */
async function namingText(submitted: Promise<JobView>): Promise<JobView> {
  try {
    return await submitted;
  } catch (error) {
    if (!(error instanceof AppError) || error.param !== 'input') throw error;
    const message = error.message.replace(/^input/, 'text');
    throw new AppError(error.code, { message, param: 'text', cause: error });
  }
}

/** @throws AppError with the job's id when it did not succeed in time */
function predictionOf(job: Job, stopping: boolean): { label: string; score: number } {
  const best = job.output?.[0]?.labels?.[0];
  if (best) return { label: best.label, score: best.score };
  if (job.finished_at === null) {
    if (!stopping) throw new AppError('wait_timeout', { jobId: job.id });
    const message = 'The server is stopping; poll the job by its id.';
    throw new AppError('not_ready', { message, jobId: job.id, retryAfterS: 1 });
  }
  const { code, message } = job.error ?? {};
  if (!isErrorCode(code)) throw new AppError('internal', { jobId: job.id });
  throw new AppError(code, { ...(message === undefined ? {} : { message }), jobId: job.id });
}

const PREDICT_ERRORS: ErrorCode[] = [
  ...(['invalid_request', 'model_not_found', 'body_too_large', 'unsupported_media_type'] as const),
  ...(['text_too_long', 'empty_text', 'overloaded', 'not_ready', 'wait_timeout'] as const),
  ...(['redis_unavailable', 'storage_nearly_full', 'tokenizer_failed', 'expired'] as const),
  ...(['row_crashed_engine', 'row_timed_out', 'non_finite_output', 'canceled'] as const),
  ...(['out_of_memory', 'attempts_exhausted'] as const),
];
