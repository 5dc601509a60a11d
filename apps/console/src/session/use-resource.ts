import { HeadraceError } from '@headrace/client';
import { useEffect, useRef, useState } from 'preact/hooks';
import { noteFailure, noteSuccess, onSession, sessionState } from './session.ts';

export interface Resource<T> {
  /** The last that was read; stays while newer is asked for, and when that fails. */
  data: T | null;
  /** Why the last try failed. */
  error: unknown;
  loading: boolean;
  /** Reads it again now. */
  reload: () => void;
}

interface ResourceOptions<T> {
  load: (signal: AbortSignal) => Promise<T>;
  /** Another key is another thing: what was read is forgotten. */
  key: string;
  /** Reads again so long after an answer; null when there is nothing to wait for. */
  everyMs?: number | null | ((data: T) => number | null);
}

const RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 5_000;

/** Something of the API that is shown, kept fresh while the tab is looked at. */
export function useResource<T>(options: ResourceOptions<T>): Resource<T> {
  const [state, setState] = useState<Omit<Resource<T>, 'reload'> & { key: string }>({
    ...{ key: options.key, data: null, error: null, loading: true },
  });
  const current = useRef(options);
  const again = useRef<() => void>(() => {});
  current.current = options;

  useEffect(() => {
    const reader = new Reader<T>({
      load: (signal) => current.current.load(signal),
      waitMs: (data) => {
        const { everyMs = null } = current.current;
        return typeof everyMs === 'function' ? everyMs(data) : everyMs;
      },
      show: (change) =>
        setState((former) => {
          const same = former.key === options.key;
          return {
            ...(same ? former : { data: null, error: null, loading: true }),
            ...change,
            key: options.key,
          };
        }),
    });
    again.current = () => reader.read();
    reader.start();
    return () => reader.stop();
  }, [options.key]);

  const shown = state.key === options.key ? state : { data: null, error: null, loading: true };
  return { ...shown, reload: () => again.current() };
}

interface ReaderOptions<T> {
  load: (signal: AbortSignal) => Promise<T>;
  waitMs: (data: T) => number | null;
  show: (change: Partial<Omit<Resource<T>, 'reload'>>) => void;
}

class Reader<T> {
  readonly #options: ReaderOptions<T>;
  #running: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #undo: (() => void)[] = [];
  #failures = 0;
  #due = false;

  constructor(options: ReaderOptions<T>) {
    this.#options = options;
  }

  start(): void {
    const look = () => {
      if (!document.hidden && this.#due) this.read();
    };
    document.addEventListener('visibilitychange', look);
    let wasOut = sessionState().signedOut !== null;
    this.#undo = [
      () => document.removeEventListener('visibilitychange', look),
      onSession(() => {
        const isOut = sessionState().signedOut !== null;
        if (wasOut && !isOut) this.read();
        wasOut = isOut;
      }),
    ];
    this.read();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#running?.abort();
    for (const step of this.#undo.splice(0)) step();
  }

  read(): void {
    clearTimeout(this.#timer);
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    this.#due = false;
    this.#options.show({ loading: true });
    this.#options.load(running.signal).then(
      (data) => {
        if (running.signal.aborted) return;
        noteSuccess();
        this.#failures = 0;
        this.#options.show({ data, error: null, loading: false });
        this.#readAfter(this.#options.waitMs(data));
      },
      (error: unknown) => {
        if (running.signal.aborted) return;
        this.#options.show({ error: noteFailure(error), loading: false });
        this.#failures += 1;
        this.#readAfter(mayPass(error) ? retryMs(this.#failures) : null);
      },
    );
  }

  #readAfter(ms: number | null): void {
    if (ms === null) return;
    this.#timer = setTimeout(() => {
      this.#due = true;
      if (!document.hidden) this.read();
    }, ms);
  }
}

function retryMs(failures: number): number {
  return Math.min(LONGEST_RETRY_MS, RETRY_MS * 1.5 ** (failures - 1));
}

function mayPass(error: unknown): boolean {
  return !(error instanceof HeadraceError) || error.retryable;
}
