import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { TestS3 } from './s3.ts';

/**
 * What becomes of a request: `pass`; a status instead of an answer; `hang`: it never reaches the
 * server; `withhold`: it does, and the answer never comes; `cut`: half of the answer, then nothing.
 */
export type Fate = 'pass' | 'hang' | 'withhold' | 'cut' | number;

export interface S3Switch {
  /** For `HEADRACE_BLOBS`; gives up a silent request after a second. */
  url: string;
  /** Decides on each request, such as `PUT /bucket/some/where/files/file-…`. */
  fate: (request: string) => Fate;
  /** Requests that did not pass, as they come. */
  readonly stopped: string[];
  /** The next one, past or future, that fits. */
  stoppedAt(fits: RegExp): Promise<void>;
  /** Connections are refused from now on. */
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

/** A proxy in front of an S3 server that lets through what the test wants. */
export async function startS3Switch(s3: TestS3, query = '&timeout_s=1'): Promise<S3Switch> {
  const stopped: string[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((incoming, answer) => {
    const name = `${incoming.method} ${incoming.url}`;
    const fate = state.fate(name);
    if (fate !== 'pass') {
      stopped.push(name);
      for (const look of [...waiting]) look();
    }
    handle({ incoming, answer, fate, endpoint: s3.endpoint });
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const down = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  await listen(0);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const { port } = address;
  const state: S3Switch = {
    url: s3.url.replace(encodeURIComponent(s3.endpoint), `http://127.0.0.1:${port}`) + query,
    fate: () => 'pass',
    ...{ stopped, down, stop: down, up: () => listen(port) },
    async stoppedAt(fits) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = () => {
        if (stopped.some((name) => fits.test(name))) resolve();
      };
      waiting.add(look);
      look();
      await promise;
      waiting.delete(look);
    },
  };
  return state;
}

interface Handling {
  incoming: IncomingMessage;
  answer: ServerResponse;
  fate: Fate;
  endpoint: string;
}

function handle({ incoming, answer, fate, endpoint }: Handling): void {
  for (const side of [incoming, answer]) side.on('error', () => {});
  if (typeof fate === 'number') {
    incoming.resume();
    answer.writeHead(fate).end();
    return;
  }
  if (fate === 'hang') {
    incoming.resume();
    return;
  }
  const { method, headers, url } = incoming;
  const upstream = request(`${endpoint}${url}`, { method, headers }, (response) => {
    response.on('error', () => answer.destroy());
    if (fate === 'withhold') return void response.resume();
    answer.writeHead(response.statusCode ?? 500, response.headers);
    if (fate === 'pass') return void response.pipe(answer);
    response.once('data', (piece: Buffer) => {
      answer.write(piece.subarray(0, piece.length / 2), () => answer.destroy());
      response.destroy();
    });
  });
  upstream.on('error', () => answer.destroy());
  incoming.pipe(upstream);
}
