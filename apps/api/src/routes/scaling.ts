import { z } from '@hono/zod-openapi';
import type { AppDeps } from '../app.ts';
import { answerJson } from '../middleware/answer.ts';
import { expectNoQuery } from '../middleware/query.ts';
import { type ApiApp, addRoute, json } from './add-route.ts';

const ScalingSchema = z
  .object({
    drain_seconds: z
      .number()
      .nonnegative()
      .describe(
        'How long one worker needs for all that waits or runs, by the speed of those that serve ' +
          'the model or served it last; above 0 whenever there is anything. Over the seconds in ' +
          'which it shall be done, it is the number of workers to run.',
      ),
    backlog_rows: z.int().nonnegative().describe('That wait or run, of jobs and of batches.'),
    backlog_tokens: z.int().nonnegative().describe('Of these rows, estimated.'),
    in_flight_rows: z.int().nonnegative().describe('Those of them that workers hold, estimated.'),
    workers: z.int().nonnegative().describe('Ready ones.'),
  })
  .meta({ id: 'Scaling' });

/** For whoever scales the workers: `docs/scaling.md`. */
export function addScalingRoute(app: ApiApp, deps: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/scaling/{model}',
      access: 'any',
      summary: 'What the workers of a model have to do',
      tags: ['Models'],
      request: {
        params: z.object({ model: z.string().describe('name, or name@version') }),
      },
      answers: { 200: json('What waits and runs.', ScalingSchema) },
      errors: ['invalid_request', 'model_not_found', 'redis_unavailable'],
    },
    async (c) => {
      expectNoQuery(c);
      const model = deps.models.resolve(c.req.param('model') ?? '');
      const scaling = await deps.readScaling(model);
      const answer: z.infer<typeof ScalingSchema> = {
        drain_seconds: scaling.drainSeconds,
        backlog_rows: scaling.backlogRows,
        backlog_tokens: scaling.backlogTokens,
        in_flight_rows: scaling.inFlightRows,
        workers: scaling.workers,
      };
      return answerJson(c, answer);
    },
  );
}
