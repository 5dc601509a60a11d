import type { StoredRecord } from '@headrace/shared/stored-record.ts';
import type { FinishedHub } from './finished-hub.ts';

/** Between looks for a job while Redis does not answer. */
export const READ_AGAIN_MS = 100;

export interface WaitOptions {
  waitMs: number;
  /** Aborted when the caller has gone away. */
  signal?: AbortSignal | undefined;
}

/** Waits for notices of one job until a deadline. */
export interface JobWatch {
  /**
   * Resolves when the job may have finished, or when the wait is over; with the record where the
   * notice brought it along.
   */
  next(): Promise<StoredRecord | null>;
  /** The time is up, the caller is gone or the process stops: look once more, then answer. */
  readonly over: boolean;
  stop(): void;
}

/** Start it before the job can finish; `stop` it in `finally`. */
export function watchJob(hub: FinishedHub, id: string, { waitMs, signal }: WaitOptions): JobWatch {
  let notice = Promise.withResolvers<StoredRecord | null>();
  let ended = signal?.aborted ?? false;
  const wake = (record: StoredRecord | null) => notice.resolve(record);
  const end = () => {
    ended = true;
    wake(null);
  };
  const timer = setTimeout(end, waitMs);
  const unlisten = hub.onFinished(id, wake);
  signal?.addEventListener('abort', end);
  return {
    get over() {
      return ended || hub.released;
    },
    async next() {
      if (ended || hub.released) return null;
      const record = await notice.promise;
      notice = Promise.withResolvers();
      return record;
    },
    stop() {
      clearTimeout(timer);
      unlisten();
      signal?.removeEventListener('abort', end);
    },
  };
}
