import { type Batch, isFinished } from '@headrace/client';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, noteFailure } from '../../session/session.ts';
import { useSession } from '../../session/use-session.ts';
import { RowTally, type Tally } from './row-tally.ts';

/** So many rows show what all look like; more would be read for little. */
export const MOST_ROWS = 50_000;
const ROWS_A_PAGE = 1_000;
const PAUSE_MS = 250;

interface Reading {
  tally: RowTally;
  after: string | undefined;
  /** Nothing more is to be read. */
  done: boolean;
}

/** Reads the rows that are done, page by page, and again as more of them are. */
export function useTally(batch: Batch): { tally: Tally | null; error: unknown } {
  const [state, setState] = useState<{ tally: Tally | null; error: unknown }>({
    ...{ tally: null, error: null },
  });
  const reading = useRef<Reading>({ tally: new RowTally(), after: undefined, done: false });
  const rowsDone = batch.progress.rows_done;
  const finished = isFinished(batch);
  const signedOut = useSession().signedOut !== null;
  useEffect(() => {
    if (signedOut) return;
    const { current } = reading;
    const controller = new AbortController();
    readOn(batch.id, current, {
      signal: controller.signal,
      onRows: () => setState({ tally: current.tally.read(), error: null }),
    }).catch((error: unknown) => {
      if (controller.signal.aborted) return;
      setState({ tally: current.tally.read(), error: noteFailure(error) });
    });
    return () => controller.abort();
    // More rows, the end, or another key: there is more to read.
  }, [batch.id, rowsDone, finished, signedOut]);
  return state;
}

interface ReadOn {
  signal: AbortSignal;
  onRows: () => void;
}

async function readOn(id: string, reading: Reading, { signal, onRows }: ReadOn): Promise<void> {
  while (!reading.done) {
    const query = { after: reading.after, limit: ROWS_A_PAGE, signal, maxRetries: 0 };
    const { value: page } = await api().batches.results(id, query).next();
    if (signal.aborted || page === undefined) return;
    for (const row of page.data) reading.tally.add(row);
    reading.after = page.next;
    reading.done = page.finished || reading.tally.rows >= MOST_ROWS;
    onRows();
    if (!page.has_more) return;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    if (signal.aborted) return;
  }
}
