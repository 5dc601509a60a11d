import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface ProbeAnswers {
  isAlive: () => boolean;
  /** What keeps the process from being ready; empty when it is. */
  missing: () => string[];
  registry: Registry;
  /** Brings gauges up to date before they are read. */
  refresh: () => void;
}

interface ProbesOptions {
  host: string;
  port: number;
  answers: ProbeAnswers;
}

export interface Probes {
  port: number;
  stop: () => Promise<void>;
}

/** `/health`, `/ready` and `/metrics` of a process that has no other HTTP surface. */
export async function startProbes({ host, port, answers }: ProbesOptions): Promise<Probes> {
  const server = createServer(
    { headersTimeout: 5_000, requestTimeout: 5_000, maxHeaderSize: 8_192 },
    (request, response) => {
      void answer(request.url ?? '', response, answers);
    },
  );
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { port: address.port, stop };
}

async function answer(url: string, response: ServerResponse, answers: ProbeAnswers) {
  switch (url.split('?')[0]) {
    case '/health': {
      const alive = answers.isAlive();
      return send(response, alive ? 200 : 503, { status: alive ? 'ok' : 'stuck' });
    }
    case '/ready': {
      const missing = answers.missing();
      const ready = missing.length === 0;
      return send(response, ready ? 200 : 503, { status: ready ? 'ready' : 'not_ready', missing });
    }
    case '/metrics':
      answers.refresh();
      response.setHeader('content-type', answers.registry.contentType);
      return response.end(await answers.registry.metrics());
    default:
      return send(response, 404, { status: 'not_found' });
  }
}

function send(response: ServerResponse, status: number, body: unknown) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
