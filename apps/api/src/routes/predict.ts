import { AppError } from '@headrace/shared/errors.ts';
import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import { parseJobRequest } from '@headrace/shared/job-request.ts';
import { z } from '@hono/zod-openapi';
import type { AppDeps } from '../app.ts';
import { AWAITED_ERRORS, awaitOutput } from '../await-output.ts';
import { answerJson } from '../middleware/answer.ts';
import { callerOf } from '../middleware/caller.ts';
import { ONCE_HEADER, onceOf } from '../middleware/idempotency.ts';
import { readJson } from '../middleware/json-body.ts';
import { expectNoQuery } from '../middleware/query.ts';
import { type ApiApp, addRoute, json } from './add-route.ts';

const PredictRequest = z
  .strictObject({ text: z.string().openapi({ example: 'The delivery was quick.' }) })
  .meta({ id: 'PredictRequest' });
const Prediction = z
  .object({ label: z.string(), score: z.number() })
  .meta({ id: 'Prediction', example: { label: 'positive', score: 0.99 } });

export function addPredictRoute(app: ApiApp, deps: AppDeps): void {
  const { models, limits } = deps;
  addRoute(
    app,
    {
      method: 'post',
      path: '/predict',
      access: 'jobs',
      summary: 'Classify one text with the default model and wait for the answer',
      tags: ['Predict'],
      request: {
        headers: z.object(ONCE_HEADER),
        body: { required: true, content: { 'application/json': { schema: PredictRequest } } },
      },
      answers: { 200: json('The best label.', Prediction) },
      errors: AWAITED_ERRORS,
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
      const caller = callerOf(c);
      const once = onceOf(c, 'predict', parsed.data);
      const submission = { tenant: caller.tenant, caller, request, once };
      const { job, headers } = await namingText(awaitOutput(deps, submission, options));
      const best = job.output[0]?.labels?.[0];
      if (best === undefined) throw new AppError('internal');
      return answerJson(c, { label: best.label, score: best.score }, { headers });
    },
  );
}

/** What a submission says of its `input` is said of this route's `text`. */
async function namingText<T>(submitted: Promise<T>): Promise<T> {
  try {
    return await submitted;
  } catch (error) {
    if (!(error instanceof AppError) || error.param !== 'input') throw error;
    const message = error.message.replace(/^input/, 'text');
    throw new AppError(error.code, { message, param: 'text', cause: error });
  }
}
