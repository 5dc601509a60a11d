import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Routes as a Service of Kubernetes does: each new connection goes to one of the endpoints that are
 * ready; one that is there stays where it is, whatever becomes of that endpoint's readiness.
 */
export interface ServiceBalancer extends AsyncDisposable {
  readonly url: string;
  /** Connections that were begun while no endpoint was ready, or that its endpoint refused. */
  readonly refused: number;
  /** Takes an endpoint in, and resolves once it is ready. */
  add(endpoint: string): Promise<void>;
  /** Sends no new connection there any more. */
  remove(endpoint: string): void;
}

const PROBE_MS = 100;
const GIVE_UP_MS = 30_000;

export async function startServiceBalancer(): Promise<ServiceBalancer> {
  const endpoints = new Map<string, Endpoint>();
  const open = new Set<Socket>();
  let turn = 0;
  let refused = 0;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const ready = [...endpoints.values()].filter((endpoint) => endpoint.ready);
    const chosen = ready[turn++ % Math.max(1, ready.length)];
    if (chosen === undefined) {
      refused += 1;
      client.resetAndDestroy();
      return;
    }
    const { hostname, port } = new URL(chosen.url);
    const upstream = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    let connected = false;
    upstream.once('connect', () => {
      connected = true;
    });
    join(client, upstream);
    upstream.on('error', () => {
      if (!connected) refused += 1;
    });
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    get refused() {
      return refused;
    },
    async add(url) {
      const endpoint = new Endpoint(url);
      endpoints.set(url, endpoint);
      await endpoint.untilReady();
    },
    remove(url) {
      endpoints.get(url)?.stop();
      endpoints.delete(url);
    },
    async [Symbol.asyncDispose]() {
      for (const endpoint of endpoints.values()) endpoint.stop();
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Whatever the one end says, also that it ends, reaches the other. */
function join(client: Socket, upstream: Socket): void {
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    from.setNoDelay(true);
    from.pipe(to);
    from.on('error', () => to.resetAndDestroy());
    from.once('close', () => to.destroySoon());
  }
}

/** One process, and what its readiness probe says. */
class Endpoint {
  readonly url: string;
  ready = false;
  #stopped = false;

  constructor(url: string) {
    this.url = url;
    void this.#probe();
  }

  stop(): void {
    this.#stopped = true;
    this.ready = false;
  }

  async untilReady(): Promise<void> {
    const deadline = performance.now() + GIVE_UP_MS;
    while (!this.ready) {
      if (performance.now() > deadline) throw new Error(`${this.url} does not become ready`);
      await sleep(PROBE_MS);
    }
  }

  async #probe(): Promise<void> {
    while (!this.#stopped) {
      const ready = await fetch(`${this.url}/ready`, { headers: { connection: 'close' } })
        .then((response) => response.arrayBuffer().then(() => response.ok))
        .catch(() => false);
      if (!this.#stopped) this.ready = ready;
      await sleep(PROBE_MS);
    }
  }
}
