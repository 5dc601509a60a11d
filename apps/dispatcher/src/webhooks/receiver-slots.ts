interface ReceiverSlotsOptions {
  /** Attempts that go to one receiver at once. */
  perReceiver: number;
  /** A receiver with half of its attempts running longer than this is slow; nobody waits for it. */
  patienceMs: number;
  now?: () => number;
}

interface Busy {
  /** When each attempt began, by the order in which they did. */
  began: Map<symbol, number>;
  waiting: Set<() => void>;
}

/**
 * Shares the attempts that run at once among receivers: whoever answers slowly holds its own few and
 * nobody else's.
 */
export class ReceiverSlots {
  readonly #options: ReceiverSlotsOptions;
  readonly #now: () => number;
  readonly #busy = new Map<string, Busy>();

  constructor(options: ReceiverSlotsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** @returns how to give it back; null when the receiver is slow and has no slot free */
  async take(receiver: string): Promise<(() => void) | null> {
    const { perReceiver, patienceMs } = this.#options;
    for (;;) {
      const busy = this.#busy.get(receiver) ?? { began: new Map(), waiting: new Set() };
      this.#busy.set(receiver, busy);
      if (busy.began.size < perReceiver) return this.#begin(receiver, busy);
      const [median = 0] = [...busy.began.values()].slice(Math.floor((perReceiver - 1) / 2));
      const waitMs = median + patienceMs - this.#now();
      if (waitMs <= 0 || !(await oneIsFree(busy, waitMs))) return null;
    }
  }

  #begin(receiver: string, busy: Busy): () => void {
    const slot = Symbol(receiver);
    busy.began.set(slot, this.#now());
    return () => {
      busy.began.delete(slot);
      const [next] = busy.waiting;
      if (next !== undefined) next();
      else if (busy.began.size === 0) this.#busy.delete(receiver);
    };
  }
}

function oneIsFree(busy: Busy, waitMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const settle = (free: boolean) => {
    clearTimeout(timer);
    busy.waiting.delete(wake);
    resolve(free);
  };
  const wake = () => settle(true);
  const timer = setTimeout(() => settle(false), waitMs);
  busy.waiting.add(wake);
  return promise;
}
