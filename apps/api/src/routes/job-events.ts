import { JobSchema } from '@headrace/shared/jobs.ts';
import { z } from '@hono/zod-openapi';
import type { AppDeps } from '../app.ts';
import { eventId, JobEvents } from '../job-events.ts';
import { answer } from '../middleware/answer.ts';
import { tenantOf } from '../middleware/caller.ts';
import { expectNoQuery } from '../middleware/query.ts';
import { type ApiApp, addRoute, STREAM_HEADERS } from './add-route.ts';

export function addJobEventRoutes(app: ApiApp, deps: AppDeps): void {
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
      const onClose = deps.streams.take();
      if (c.req.method === 'HEAD') {
        onClose();
        return answer(c, null, { headers: STREAM_HEADERS });
      }
      const { jobs, hub } = deps;
      const events = new JobEvents({ jobs, hub, tenant, id, lastEventId, onClose });
      return answer(c, events.stream(), { headers: STREAM_HEADERS });
    },
  );
}
