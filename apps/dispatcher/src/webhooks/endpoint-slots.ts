interface EndpointSlotsOptions {
  /** Attempts that go to one endpoint at once. */
  perEndpoint: number;
  /** Attempts that run longer than this tell of a slow receiver; nobody waits for those. */
  patienceMs: number;
}

interface Busy {
  /** When each attempt began, by the order in which they did. */
  began: Map<symbol, number>;
  waiting: Set<() => void>;
}

/**
 * Shares the attempts that run at once among endpoints: whoever answers slowly holds its own few and
 * nobody else's.
 */
export class EndpointSlots {
  readonly #options: EndpointSlotsOptions;
  readonly #busy = new Map<string, Busy>();

  constructor(options: EndpointSlotsOptions) {
    this.#options = options;
  }

  /** @returns how to give it back; null when the endpoint is slow and has no slot free */
  async take(endpoint: string): Promise<(() => void) | null> {
    for (;;) {
      const busy = this.#busy.get(endpoint) ?? { began: new Map(), waiting: new Set() };
      this.#busy.set(endpoint, busy);
      if (busy.began.size < this.#options.perEndpoint) return this.#begin(endpoint, busy);
      const [oldest = 0] = busy.began.values();
      const patienceMs = oldest + this.#options.patienceMs - performance.now();
      if (patienceMs <= 0 || !(await oneIsFree(busy, patienceMs))) return null;
    }
  }

  #begin(endpoint: string, busy: Busy): () => void {
    const slot = Symbol(endpoint);
    busy.began.set(slot, performance.now());
    return () => {
      busy.began.delete(slot);
      const [next] = busy.waiting;
      if (next !== undefined) next();
      else if (busy.began.size === 0) this.#busy.delete(endpoint);
    };
  }
}

function oneIsFree(busy: Busy, patienceMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const settle = (free: boolean) => {
    clearTimeout(timer);
    busy.waiting.delete(wake);
    resolve(free);
  };
  const wake = () => settle(true);
  const timer = setTimeout(() => settle(false), patienceMs);
  busy.waiting.add(wake);
  return promise;
}
