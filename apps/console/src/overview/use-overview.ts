import { ConnectionError, type Overview, type OverviewSample } from '@headrace/client';
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
  let history: OverviewSample[] = [];
  try {
    for await (const heard of api().overview.follow({ signal })) {
      if (heard.event === 'lost') {
        change({ connected: false, error: noteFailure(heard.error ?? ENDED) });
        continue;
      }
      noteSuccess();
      const known = { connected: true, error: null };
      if (heard.event === 'now') change({ ...known, now: heard.sample });
      else if (heard.event === 'all') {
        history = heard.overview.history;
        change({ ...known, history, sight: heard.overview.sight, now: heard.overview.now });
      } else {
        history = continued(history, heard.sample);
        change({ ...known, history });
      }
    }
  } catch (error) {
    if (!signal.aborted) change({ connected: false, error: noteFailure(error) });
  }
}

const ENDED = new ConnectionError('The stream ended.', { cause: null, neverSent: false });

function continued(history: OverviewSample[], sample: OverviewSample): OverviewSample[] {
  const oldest = sample.at - KEPT_S;
  return [...history.filter(({ at }) => at >= oldest && at < sample.at), sample];
}
