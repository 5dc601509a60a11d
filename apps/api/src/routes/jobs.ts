import { integer } from '@headrace/shared/env.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { isJobId } from '@headrace/shared/ids.ts';
import { JobRequestSchema, parseJobRequest } from '@headrace/shared/job-request.ts';
import { JOB_STATUSES, JobSchema } from '@headrace/shared/jobs.ts';
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { AppDeps } from '../app.ts';
import type { Accepted } from '../jobs.ts';
import { answer, answerJson, answerJsonText } from '../middleware/answer.ts';
import type { ApiEnv } from '../middleware/api-env.ts';
import { callerOf, tenantOf } from '../middleware/caller.ts';
import { ONCE_HEADER, onceOf, REPLAYED } from '../middleware/idempotency.ts';
import { readJson } from '../middleware/json-body.ts';
import { expectNoQuery, parseQuery } from '../middleware/query.ts';
import { type ApiApp, addRoute, json } from './add-route.ts';
import { preferredWaitS } from './prefer.ts';

const JobParams = z.object({ id: z.string().openapi({ example: 'job_…' }) });
const JobList = z
  .object({
    object: z.literal('list'),
    data: z.array(JobSchema),
    has_more: z.boolean().describe('Older jobs are left to look at; a page may be short or empty.'),
    first_id: z.string().nullable(),
    last_id: z.string().nullable().describe('Goes on from here as `after`.'),
  })
  .meta({ id: 'JobList' });

const ListQuery = z.strictObject({
  status: z.enum(JOB_STATUSES).optional(),
  model: z.string().max(128).optional().describe('name or name@version'),
  batch: z.string().max(128).optional(),
  metadata: z
    .record(z.string().min(1).max(64), z.string().max(512))
    .optional()
    .describe('`metadata[key]=value`, repeated for several keys.')
    .openapi({ param: { style: 'deepObject', explode: true } }),
  limit: integer(1, 100)
    .default(20)
    .openapi({ type: 'integer', minimum: 1, maximum: 100, default: 20 }),
  after: z.string().refine(isJobId, 'must be the id of a job').optional(),
});

const TAGS = ['Jobs'];
/** What every route that asks Redis may answer. */
const REDIS_ERRORS = ['redis_unavailable', 'storage_nearly_full'] as const;
const SUBMIT_ERRORS = [
  ...['invalid_request', 'model_not_found', 'too_many_rows', 'text_too_long'],
  ...['empty_text', 'overloaded', 'rate_limited', 'idempotency_mismatch', ...REDIS_ERRORS],
] as const;

export function addJobRoutes(app: ApiApp, deps: AppDeps): void {
  addSubmit(app, deps);
  addRead(app, deps);
  addList(app, deps);
  addChanges(app, deps);
}

function addSubmit(app: ApiApp, { jobs, limits }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/jobs',
      access: 'jobs',
      summary: 'Submit a job',
      tags: TAGS,
      request: {
        headers: z.object({
          ...ONCE_HEADER,
          prefer: z
            .string()
            .optional()
            .describe(`wait=N, 1 to ${limits.maxWaitS}: answer as soon as it is finished.`),
        }),
        body: { required: true, content: { 'application/json': { schema: JobRequestSchema } } },
      },
      answers: {
        200: json('The finished job: it was waited for.', JobSchema),
        202: { ...json('The job as it is.', JobSchema), headers: LOCATION_HEADERS },
      },
      errors: [...SUBMIT_ERRORS, 'body_too_large', 'unsupported_media_type'],
    },
    async (c) => {
      expectNoQuery(c);
      const waitS = preferredWaitS(c.req.header('prefer'), limits.maxWaitS);
      const request = parseJobRequest(await readJson(c, limits), limits.maxRows);
      const caller = callerOf(c);
      const once = onceOf(c, 'jobs', request);
      const submission = { tenant: caller.tenant, caller, request, once };
      if (waitS === null) return accepted(c, await jobs.submit(submission));
      const applied = { 'preference-applied': `wait=${waitS}` };
      const options = { waitMs: waitS * 1000, signal: c.req.raw.signal };
      const view = await jobs.submitAndWait(submission, options);
      return view.finished
        ? answerJsonText(c, view.json, { headers: { ...applied, ...replayHeaders(view) } })
        : accepted(c, view, applied);
    },
  );
}

const LOCATION_HEADERS = z.object({
  'x-request-id': z.string(),
  location: z.string().describe('Where to poll the job.'),
  'idempotent-replayed': z.string().optional().describe('true: an earlier answer, given again.'),
});

function accepted(
  c: Context<ApiEnv>,
  { job, replayed }: Accepted,
  headers?: Record<string, string>,
): Response {
  const location = `/v1/jobs/${job.id}`;
  const all = { location, ...replayHeaders({ replayed }), ...headers };
  return answerJson(c, job, { status: 202, headers: all });
}

function replayHeaders({ replayed }: { replayed: boolean }): Record<string, string> {
  return replayed ? REPLAYED : {};
}

function addRead(app: ApiApp, { jobs, limits }: AppDeps): void {
  const { maxWaitS } = limits;
  const GetQuery = z.strictObject({
    wait: integer(0, maxWaitS)
      .optional()
      .describe('Seconds to wait for the job to finish.')
      .openapi({ type: 'integer', minimum: 0, maximum: maxWaitS }),
  });
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/jobs/{id}',
      access: 'jobs',
      summary: 'Get a job, or wait for it',
      tags: TAGS,
      request: { params: JobParams, query: GetQuery },
      answers: { 200: json('The job.', JobSchema) },
      errors: ['invalid_request', 'not_found', ...REDIS_ERRORS],
    },
    async (c) => {
      const { wait = 0 } = parseQuery(c, GetQuery);
      const id = idOf(c);
      if (wait === 0) return answerJson(c, await jobs.get(tenantOf(c), id));
      const options = { waitMs: wait * 1000, signal: c.req.raw.signal };
      return answerJsonText(c, (await jobs.wait(tenantOf(c), id, options)).json);
    },
  );
}

function addList(app: ApiApp, { list }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/jobs',
      access: 'jobs',
      summary: 'List jobs, newest first',
      tags: TAGS,
      request: { query: ListQuery },
      answers: { 200: json('A page of jobs.', JobList) },
      errors: ['invalid_request', ...REDIS_ERRORS],
    },
    async (c) => {
      const query = parseQuery(c, ListQuery);
      if (query.batch !== undefined) return answerJson(c, { object: 'list', ...EMPTY_PAGE });
      const { status = null, model = null, metadata = {}, limit, after = null } = query;
      const filter = { status, model, metadata };
      const page = await list({ tenant: tenantOf(c), filter, limit, after });
      return answerJson(c, { object: 'list', ...page });
    },
  );
}

/** No job belongs to a batch. */
const EMPTY_PAGE = { data: [], has_more: false, first_id: null, last_id: null };

function addChanges(app: ApiApp, { jobs }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/jobs/{id}/cancel',
      access: 'jobs',
      summary: 'Cancel a job',
      tags: TAGS,
      request: { params: JobParams },
      answers: { 200: json('The canceled job.', JobSchema) },
      errors: ['invalid_request', 'not_found', 'job_already_finished', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      return answerJson(c, await jobs.cancel(tenantOf(c), idOf(c)));
    },
  );
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/jobs/{id}/retry',
      access: 'jobs',
      summary: 'Submit a failed, canceled or expired job once more, as a new job',
      tags: TAGS,
      request: { params: JobParams, headers: z.object(ONCE_HEADER) },
      answers: { 202: { ...json('The new job.', JobSchema), headers: LOCATION_HEADERS } },
      errors: [...SUBMIT_ERRORS, 'not_found', 'job_not_finished'],
    },
    async (c) => {
      expectNoQuery(c);
      const id = idOf(c);
      return accepted(c, await jobs.retry(callerOf(c), id, onceOf(c, 'jobs/retry', id)));
    },
  );
  addRoute(
    app,
    {
      method: 'delete',
      path: '/v1/jobs/{id}',
      access: 'jobs',
      summary: 'Remove a finished job and its result; a callback not delivered yet is not sent',
      tags: TAGS,
      request: { params: JobParams },
      answers: { 204: { description: 'It is gone.' } },
      errors: ['invalid_request', 'not_found', 'job_not_finished', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      await jobs.remove(tenantOf(c), idOf(c));
      return answer(c, null, { status: 204 });
    },
  );
}

/** The id of the path; whether it is one at all is for `Jobs` to say, with the same 404. */
function idOf(c: Context<ApiEnv>): string {
  const id = c.req.param('id');
  if (id === undefined) throw new AppError('not_found');
  return id;
}
