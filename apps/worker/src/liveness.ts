interface LivenessDeps {
  /** Whether there is a connection to Redis, as far as the process knows. */
  connected: () => boolean;
  /** Whether every fetch loop moved lately, or rightly stands still. */
  isMoving: () => boolean;
  /** So long after Redis is back, loops get their time anew. */
  graceMs: number;
  now?: () => number;
}

export interface Liveness {
  /** To be called whenever Redis is there (again). */
  noteConnected(): void;
  isAlive(): boolean;
}

/**
 * A worker lives while its fetch loops move. Without Redis they cannot, and a new process could not
 * either: a worker that is restarted then would lose the results that it keeps until Redis is back.
 */
export function createLiveness(deps: LivenessDeps): Liveness {
  const now = deps.now ?? (() => performance.now());
  let connectedMs = now();
  return {
    noteConnected() {
      connectedMs = now();
    },
    isAlive: () => !deps.connected() || now() - connectedMs < deps.graceMs || deps.isMoving(),
  };
}
