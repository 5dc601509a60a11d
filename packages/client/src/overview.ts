import { ConnectionError } from './errors.ts';
import { streamEvents } from './event-stream.ts';
import type { CallOptions, Transport } from './transport.ts';

interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}

/** What a model does. */
export interface ModelSample {
  /** `name@version` */
  model: string;
  workers: number;
  backlog: {
    rows: number;
    tokens: number;
    chunks: number;
    drain_s: number | null;
    oldest_s: number | null;
  };
  /** What is left of the batches that are being worked on. */
  bulk: { rows: number; tokens: number; drain_s: number | null };
  traffic: {
    rows_per_s: number;
    tokens_per_s: number;
    jobs_per_s: number;
    /** Share of cells without a token. */
    padding_ratio: number | null;
    /** Rows of a tensor batch, on average. */
    batch_rows: number | null;
    wait_ms: Percentiles | null;
    total_ms: Percentiles | null;
  } | null;
  engines: { total: number; ready: number; busy: number | null; restarts: number } | null;
}

/** What all of Headrace does, at one time. */
export interface OverviewSample {
  /** Unix seconds. */
  at: number;
  models: ModelSample[];
  redis: { used_bytes: number; max_bytes: number | null } | null;
  errors: { code: string; of: 'job' | 'request'; count: number }[] | null;
}

export interface Overview {
  object: 'overview';
  /** `models` for keys without the scope `admin`: no figures of all tenants together. */
  sight: 'all' | 'models';
  /** Length of a step of the history. */
  step_s: number;
  /** Of the last 15 minutes, oldest first. */
  history: OverviewSample[];
  /** Of the last two seconds. */
  now: OverviewSample;
}

/** `now`: of the last seconds, about once a second. `point`: a step of the history that is over. */
export interface OverviewEvent {
  event: 'now' | 'point';
  sample: OverviewSample;
}

export function createOverview(transport: Transport) {
  return {
    get(call: CallOptions = {}): Promise<Overview> {
      return transport.json({ ...call, path: '/v1/overview' });
    },

    /** Follows it, over one connection: whoever still wants to know when that ends reads anew. */
    async *watch(call: CallOptions = {}): AsyncGenerator<OverviewEvent, void> {
      const { body } = await transport.send({ ...call, path: '/v1/overview/events' });
      if (body === null) return;
      try {
        for await (const { event, data } of streamEvents(body)) {
          if (event === 'now' || event === 'point') yield { event, sample: JSON.parse(data) };
        }
      } catch (cause) {
        call.signal?.throwIfAborted();
        throw new ConnectionError('The connection broke.', { cause, neverSent: false });
      }
    },
  };
}
