import { useEffect, useRef, useState } from 'preact/hooks';
import { noteFailure, noteSuccess } from './session.ts';

export interface Action<A> {
  /** Does it, unless it is being done. */
  run: (given: A) => void;
  running: boolean;
  error: unknown;
  clear: () => void;
}

/** Something that a button does, once at a time, with what came of it. */
export function useAction<A>(act: (given: A, signal: AbortSignal) => Promise<void>): Action<A> {
  const [state, setState] = useState<{ running: boolean; error: unknown }>({
    ...{ running: false, error: null },
  });
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const run = (given: A) => {
    if (running.current !== null) return;
    const controller = new AbortController();
    running.current = controller;
    setState({ running: true, error: null });
    act(given, controller.signal)
      .then(noteSuccess)
      .then(
        () => null,
        (error: unknown) => noteFailure(error),
      )
      .then((error) => {
        running.current = null;
        if (!controller.signal.aborted) setState({ running: false, error });
      });
  };
  return { run, ...state, clear: () => setState({ running: false, error: null }) };
}
