import type { Job, JobRequest, JobStatus, Page } from './api-types.ts';
import { once } from './once.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface JobQuery extends CallOptions {
  status?: JobStatus | undefined;
  /** `name` or `name@version` */
  model?: string | undefined;
  /** Jobs of a page, 100 at most. */
  limit?: number | undefined;
  /** The `last_id` of the page before. */
  after?: string | undefined;
}

/** Seconds that one request waits; the server allows 60 at most. */
const WAIT_S = 30;
const ANSWER_MS = 30_000;

export function createJobs(transport: Transport) {
  const post = (path: string, call: CallOptions) =>
    transport.json<Job>({ ...call, method: 'POST', path });
  async function get(id: string, call: CallOptions & { waitS?: number } = {}): Promise<Job> {
    const { waitS, ...options } = call;
    const timeoutMs = (waitS ?? 0) * 1000 + ANSWER_MS;
    return transport.json({ ...options, path: pathOf(id), query: { wait: waitS }, timeoutMs });
  }

  return {
    get,

    submit(request: JobRequest, call: CallOptions = {}): Promise<Job> {
      return transport.json({ ...call, ...once(), path: '/v1/jobs', json: request });
    },

    /** Resolves with the finished job, whatever it came to; give a signal to stop waiting. */
    async wait(id: string, call: CallOptions = {}): Promise<Job> {
      for (;;) {
        const job = await get(id, { ...call, waitS: WAIT_S });
        if (job.status !== 'queued' && job.status !== 'running') return job;
      }
    },

    cancel(id: string, call: CallOptions = {}): Promise<Job> {
      return post(`${pathOf(id)}/cancel`, call);
    },

    /** A job that did not succeed, as a new job. */
    retry(id: string, call: CallOptions = {}): Promise<Job> {
      return transport.json({ ...call, ...once(), path: `${pathOf(id)}/retry` });
    },

    list({ status, model, limit, after, ...call }: JobQuery = {}): Promise<Page<Job>> {
      return transport.json({ ...call, path: '/v1/jobs', query: { status, model, limit, after } });
    },
  };
}

function pathOf(id: string): string {
  return `/v1/jobs/${encodeURIComponent(id)}`;
}
