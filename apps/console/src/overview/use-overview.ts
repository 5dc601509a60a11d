import {
  ConnectionError,
  HeadraceError,
  type Overview,
  type OverviewSample,
} from '@headrace/client';
import { useEffect, useState } from 'preact/hooks';
import { api, noteFailure, noteSuccess, onSession, sessionState } from '../session/session.ts';

export interface Live {
  sight: Overview['sight'];
  /** Of the last quarter of an hour, oldest first. */
  history: OverviewSample[];
  now: OverviewSample | null;
  /** Events come in. */
  connected: boolean;
  error: unknown;
}

const KEPT_S = 15 * 60;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 5_000;
const START: Live = { sight: 'all', history: [], now: null, connected: false, error: null };

/** The overview as it changes; after a break all is read anew. A tab that nobody sees asks nothing. */
export function useOverview(): Live | null {
  const [live, setLive] = useState<Live | null>(null);
  useEffect(() => {
    let controller = new AbortController();
    const change = (part: Partial<Live>) =>
      setLive((former) => ({ ...(former ?? START), ...part }));
    const begin = () => {
      controller.abort();
      controller = new AbortController();
      if (!document.hidden && sessionState().signedOut === null)
        void follow(controller.signal, change);
    };
    document.addEventListener('visibilitychange', begin);
    let signedOut = sessionState().signedOut;
    const undo = onSession(() => {
      if (signedOut !== null && sessionState().signedOut === null) begin();
      signedOut = sessionState().signedOut;
    });
    begin();
    return () => {
      controller.abort();
      document.removeEventListener('visibilitychange', begin);
      undo();
    };
  }, []);
  return live;
}

async function follow(signal: AbortSignal, change: (part: Partial<Live>) => void): Promise<void> {
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      await followOnce(signal, (part) => {
        if (signal.aborted) return;
        failures = 0;
        noteSuccess();
        change({ ...part, connected: true, error: null });
      });
      if (!signal.aborted) noteFailure(new ConnectionError('The stream ended.', ENDED));
    } catch (error) {
      if (signal.aborted) return;
      change({ connected: false, error: noteFailure(error) });
      if (error instanceof HeadraceError && !error.retryable) return;
    }
    change({ connected: false });
    await pause(Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 1.5 ** failures));
  }
}

const ENDED = { cause: null, neverSent: false };

async function followOnce(
  signal: AbortSignal,
  change: (part: Partial<Live>) => void,
): Promise<void> {
  const call = { signal, maxRetries: 0 };
  const { sight, history, now } = await api().overview.get(call);
  let known = history;
  change({ sight, history, now });
  for await (const { event, sample } of api().overview.watch(call)) {
    if (event === 'now') change({ now: sample });
    else {
      const oldest = sample.at - KEPT_S;
      known = [...known.filter(({ at }) => at >= oldest && at < sample.at), sample];
      change({ history: known });
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
