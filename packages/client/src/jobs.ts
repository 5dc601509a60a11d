import type { Job, JobRequest, JobStatus } from './api-types.ts';
import { openEvents } from './event-stream.ts';
import { once } from './once.ts';
import { type List, listOf } from './pages.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface JobQuery extends CallOptions {
  status?: JobStatus | undefined;
  /** `name` or `name@version` */
  model?: string | undefined;
  /** Of one batch. */
  batch?: string | undefined;
  /** Jobs that have all of these. */
  metadata?: Record<string, string> | undefined;
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

  /** The job at each change, over one connection; the last one that comes is finished. */
  async function* watch(id: string, call: CallOptions = {}): AsyncGenerator<Job, void> {
    for await (const { data } of openEvents(transport, { ...call, path: `${pathOf(id)}/events` })) {
      yield JSON.parse(data);
    }
  }

  return {
    get,

    submit(request: JobRequest, call: CallOptions = {}): Promise<Job> {
      return transport.json({ ...call, ...once(), path: '/v1/jobs', json: request });
    },

    watch,

    /**
     * Resolves with the finished job, whatever it came to; give a signal to stop waiting. One that
     * takes longer than a request may wait is followed by its events, over one connection.
     */
    async wait(id: string, call: CallOptions = {}): Promise<Job> {
      for (;;) {
        const job = await get(id, { ...call, waitS: WAIT_S });
        if (job.finished_at !== null) return job;
        try {
          for await (const next of watch(id, call)) if (next.finished_at !== null) return next;
        } catch {
          // Too many streams are open, or it broke: the next request waits, or says why not.
          call.signal?.throwIfAborted();
        }
      }
    },

    cancel(id: string, call: CallOptions = {}): Promise<Job> {
      return post(`${pathOf(id)}/cancel`, call);
    },

    /** A job that did not succeed, as a new job. */
    retry(id: string, call: CallOptions = {}): Promise<Job> {
      return transport.json({ ...call, ...once(), path: `${pathOf(id)}/retry` });
    },

    /** Newest first: a page, or one after the other with `for await`. */
    list({ status, model, batch, metadata, limit, after, ...call }: JobQuery = {}): List<Job> {
      const named = Object.entries(metadata ?? {}).map(([key, value]) => [
        `metadata[${key}]`,
        value,
      ]);
      const filters = { status, model, batch, limit, ...Object.fromEntries(named) };
      return listOf(
        (from) => transport.json({ ...call, path: '/v1/jobs', query: { ...filters, after: from } }),
        after,
      );
    },

    /** A finished job and its result. */
    async delete(id: string, call: CallOptions = {}): Promise<void> {
      await transport.send({ ...call, method: 'DELETE', path: pathOf(id) });
    },
  };
}

function pathOf(id: string): string {
  return `/v1/jobs/${encodeURIComponent(id)}`;
}
