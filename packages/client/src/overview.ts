import type { Overview, OverviewSample } from './api-types.ts';
import { delay } from './delay.ts';
import { HeadraceError } from './errors.ts';
import { openEvents } from './event-stream.ts';
import type { CallOptions, Transport } from './transport.ts';

/** `now`: of the last seconds, about once a second. `point`: a step of the history that is over. */
export interface OverviewEvent {
  event: 'now' | 'point';
  sample: OverviewSample;
}

/** `all`: the history, first and after each break. `lost`: why nothing comes at the moment. */
export type OverviewChange =
  | OverviewEvent
  | { event: 'all'; overview: Overview }
  | { event: 'lost'; error: unknown };

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 5_000;

/** What Headrace does, and did in the last 15 minutes. */
export function createOverview(transport: Transport) {
  const get = (call: CallOptions = {}): Promise<Overview> =>
    transport.json({ ...call, path: '/v1/overview' });

  /** Over one connection: whoever still wants to know when that ends reads anew. */
  async function* watch(call: CallOptions = {}): AsyncGenerator<OverviewEvent, void> {
    for await (const { event, data } of openEvents(transport, { ...call, path: EVENTS })) {
      if (event === 'now' || event === 'point') yield { event, sample: JSON.parse(data) };
    }
  }

  async function* once(call: CallOptions): AsyncGenerator<OverviewChange, void> {
    const events = watch(call);
    try {
      // It is open before the history is read, so that nothing falls in between.
      const first = await events.next();
      yield { event: 'all', overview: await get({ ...call, maxRetries: 0 }) };
      if (!first.done) yield first.value;
      yield* events;
    } finally {
      await events.return();
    }
  }

  return {
    get,
    watch,

    /**
     * As it changes, over as many connections as it takes, until the signal ends it.
     * @throws HeadraceError when another try would be in vain, such as `unauthorized`
     */
    async *follow(call: CallOptions = {}): AsyncGenerator<OverviewChange, never> {
      for (let failures = 0; ; failures += 1) {
        let error: unknown = null;
        try {
          for await (const change of once(call)) {
            failures = 0;
            yield change;
          }
        } catch (cause) {
          call.signal?.throwIfAborted();
          if (cause instanceof HeadraceError && !cause.retryable) throw cause;
          error = cause;
        }
        yield { event: 'lost', error };
        await delay(Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 1.5 ** failures), call.signal);
      }
    },
  };
}

const EVENTS = '/v1/overview/events';
