import { AppError } from '@headrace/shared/errors.ts';
import { JobSchema } from '@headrace/shared/jobs.ts';
import { z } from '@hono/zod-openapi';
import type { AppDeps } from '../app.ts';
import { eventId, JobEvents } from '../job-events.ts';
import { answer } from '../middleware/answer.ts';
import { tenantOf } from '../middleware/caller.ts';
import { expectNoQuery } from '../middleware/query.ts';
import { type ApiApp, addRoute } from './add-route.ts';

const RETRY_AFTER_S = 5;
const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  // A proxy that buffers would hold events back.
  'x-accel-buffering': 'no',
};

export function addJobEventRoutes(app: ApiApp, deps: AppDeps): void {
  let open = 0;
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/jobs/{id}/events',
      access: 'jobs',
      summary: 'Follow a job: `status` at each change, then `job` with the finished job, then end',
      tags: ['Jobs'],
      request: {
        params: z.object({ id: z.string() }),
        headers: z.object({
          'last-event-id': z.string().optional().describe('The last event that was seen.'),
        }),
      },
      answers: {
        200: {
          description: `Server-sent events; the data of each is a ${JobSchema.meta()?.id}.`,
          content: { 'text/event-stream': { schema: z.string() } },
        },
        204: { description: 'The last event has been seen: there is nothing to come back for.' },
      },
      errors: [
        'invalid_request',
        'not_found',
        'overloaded',
        'redis_unavailable',
        'storage_nearly_full',
      ],
    },
    async (c) => {
      expectNoQuery(c);
      const tenant = tenantOf(c);
      const id = c.req.param('id') ?? '';
      const lastEventId = c.req.header('last-event-id') ?? null;
      const job = await deps.jobs.get(tenant, id);
      if (job.finished_at !== null && eventId(job) === lastEventId)
        return answer(c, null, { status: 204 });
      if (open >= deps.limits.maxStreams) {
        const message = 'Too many event streams are open.';
        throw new AppError('overloaded', { message, retryAfterS: RETRY_AFTER_S });
      }
      if (c.req.method === 'HEAD') return answer(c, null, { headers: STREAM_HEADERS });
      open++;
      const onClose = () => {
        open--;
      };
      const { jobs, hub } = deps;
      const events = new JobEvents({ jobs, hub, tenant, id, lastEventId, onClose });
      return answer(c, events.stream(), { headers: STREAM_HEADERS });
    },
  );
}
