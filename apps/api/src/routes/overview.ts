import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { AppDeps } from '../app.ts';
import { answer } from '../middleware/answer.ts';
import type { ApiEnv } from '../middleware/api-env.ts';
import { callerOf } from '../middleware/caller.ts';
import { answerCompressedJson } from '../middleware/compressed-answer.ts';
import { expectNoQuery } from '../middleware/query.ts';
import { type Sight, STEP_S } from '../overview/overview.ts';
import { overviewEvents } from '../overview/overview-events.ts';
import { OverviewSampleSchema } from '../overview/sample.ts';
import { type ApiApp, addRoute, json, STREAM_HEADERS } from './add-route.ts';

const TAGS = ['Operation'];

const OverviewSchema = z
  .object({
    object: z.literal('overview'),
    sight: z
      .enum(['all', 'models'])
      .describe('`models` for keys without the scope admin: no figures of all tenants together.'),
    step_s: z.number().describe('Length of a step of the history.'),
    history: z.array(OverviewSampleSchema).describe('Of the last 15 minutes, oldest first.'),
    now: OverviewSampleSchema.describe('Of the last two seconds.'),
  })
  .meta({ id: 'Overview' });
export type OverviewAnswer = z.infer<typeof OverviewSchema>;

/** What all of Headrace does: backlog, speed, waiting times, engines, memory, errors. */
export function addOverviewRoutes(app: ApiApp, deps: AppDeps): void {
  const { overview } = deps;
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/overview',
      access: 'any',
      summary: 'What Headrace does, and did in the last 15 minutes',
      tags: TAGS,
      answers: { 200: json('Its steps and the last seconds.', OverviewSchema) },
      errors: ['invalid_request', 'storage_nearly_full', 'redis_unavailable'],
    },
    async (c) => {
      expectNoQuery(c);
      const sight = sightOf(c);
      const { history, now } = await overview.read(sight);
      const read: OverviewAnswer = { object: 'overview', sight, step_s: STEP_S, history, now };
      return answerCompressedJson(c, read);
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/overview/events',
      access: 'any',
      summary: 'Follow it: `now` about once a second, `point` at the end of each step',
      tags: TAGS,
      answers: {
        200: {
          description: 'Server-sent events without an end; the data of each is a sample.',
          content: { 'text/event-stream': { schema: z.string() } },
        },
      },
      errors: ['invalid_request', 'overloaded'],
    },
    (c) => {
      expectNoQuery(c);
      if (c.req.method === 'HEAD') return answer(c, null, { headers: STREAM_HEADERS });
      const authorization = c.req.header('authorization');
      const events = overviewEvents({
        overview,
        sight: sightOf(c),
        check: () => deps.keyring.identify(authorization),
        onClose: deps.streams.take(),
      });
      return answer(c, events, { headers: STREAM_HEADERS });
    },
  );
}

function sightOf(c: Context<ApiEnv>): Sight {
  return callerOf(c).scopes.includes('admin') ? 'all' : 'models';
}
