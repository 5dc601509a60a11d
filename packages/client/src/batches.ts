import type { Batch, BatchRequest, BatchResultsPage, BatchStatus } from './api-types.ts';
import { delay } from './delay.ts';
import { once } from './once.ts';
import { type List, listOf } from './pages.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface BatchQuery extends CallOptions {
  /** Batches of a page, 100 at most. */
  limit?: number | undefined;
  /** The `last_id` of the page before. */
  after?: string | undefined;
}

export interface ResultsQuery extends CallOptions {
  /** The `next` of an earlier page: goes on from there. */
  after?: string | undefined;
  kind?: 'output' | 'errors' | undefined;
  /** Rows of a page, 1,000 at most. */
  limit?: number | undefined;
  /** Wait for rows that have not finished; otherwise it ends with those that have. */
  follow?: boolean | undefined;
}

const TERMINAL = new Set<BatchStatus>(['completed', 'failed', 'expired', 'cancelled']);
/** Between two looks at a batch: short at first, since many are small. */
const FIRST_LOOK_MS = 100;
const LONGEST_LOOK_MS = 2_000;
const RESULTS_A_PAGE = 1_000;

/** Whether a batch has come to its end. */
export function isFinished({ status }: Pick<Batch, 'status'>): boolean {
  return TERMINAL.has(status);
}

export function createBatches(transport: Transport) {
  const get = (id: string, call: CallOptions = {}) =>
    transport.json<Batch>({ ...call, path: pathOf(id) });
  // Doing one of these twice ends in the same state.
  const steering =
    (action: string) =>
    (id: string, call: CallOptions = {}) => {
      const path = `${pathOf(id)}/${action}`;
      return transport.json<Batch>({ ...call, method: 'POST', path, repeat: 'always' });
    };

  return {
    get,

    create(request: BatchRequest, call: CallOptions = {}): Promise<Batch> {
      return transport.json({ ...call, ...once(), path: '/v1/batches', json: request });
    },

    /** Newest first: a page, or one after the other with `for await`. */
    list({ limit, after, ...call }: BatchQuery = {}): List<Batch> {
      const path = '/v1/batches';
      return listOf(
        (from) => transport.json({ ...call, path, query: { limit, after: from } }),
        after,
      );
    },

    /** The batch as it is, again and again; the last one that comes is finished. */
    async *watch(id: string, call: CallOptions = {}): AsyncGenerator<Batch> {
      for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(LONGEST_LOOK_MS, waitMs * 1.5)) {
        const batch = await get(id, call);
        yield batch;
        if (isFinished(batch)) return;
        await delay(waitMs, call.signal);
      }
    },

    /**
     * Rows in the order of the input, page by page, also while others still run. Whoever keeps the
     * `next` of a page can go on after it at any time.
     */
    async *results(id: string, query: ResultsQuery = {}): AsyncGenerator<BatchResultsPage> {
      const { kind, limit = RESULTS_A_PAGE, follow = false, ...call } = query;
      let { after } = query;
      let waitMs = FIRST_LOOK_MS;
      for (;;) {
        const options = { ...call, path: `${pathOf(id)}/results`, query: { after, kind, limit } };
        const page = await transport.json<BatchResultsPage>(options);
        if (page.data.length > 0 || page.finished) yield page;
        after = page.next;
        if (page.finished || (!page.has_more && !follow)) return;
        if (page.has_more) continue;
        await delay(waitMs, call.signal);
        waitMs = page.data.length > 0 ? FIRST_LOOK_MS : Math.min(LONGEST_LOOK_MS, waitMs * 1.5);
      }
    },

    pause: steering('pause'),
    resume: steering('resume'),
    cancel: steering('cancel'),

    /** The rows that failed, as a new batch. */
    retry(id: string, call: CallOptions = {}): Promise<Batch> {
      return transport.json({ ...call, ...once(), path: `${pathOf(id)}/retry` });
    },
  };
}

function pathOf(id: string): string {
  return `/v1/batches/${encodeURIComponent(id)}`;
}
