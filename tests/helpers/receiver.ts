import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { z } from 'zod';

/** A callback as it came in. */
export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  /** `webhook-id` */
  id: string;
  type: string;
  /** Of the job, the batch, or whatever it is about. */
  of: string;
  atMs: number;
}

/** What a receiver does with a callback; `attempt` counts those of one `webhook-id` from 1. */
export type Behaviour = (response: ServerResponse, attempt: number, received: Received) => void;

export interface Receiver {
  port: number;
  /** Its address, with a path that tells the tests of one file apart. */
  url(path: string): string;
  /** Sets what happens at a path; without it, 204. */
  on(path: string, behaviour: Behaviour): void;
  /** All that came so far at a path. */
  at(path: string): Received[];
  /** All that came so far. */
  all(): Received[];
  /** Resolves when `count` have come at a path. */
  until(path: string, count: number): Promise<Received[]>;
  /** Resolves when `count` more have come, wherever. */
  untilMore(count: number): Promise<void>;
  stop(): Promise<void>;
}

const Event = z.object({ type: z.string(), data: z.object({ id: z.string() }) });

/** A real receiver of callbacks on a loopback port. */
export async function startReceiver(): Promise<Receiver> {
  const behaviours = new Map<string, Behaviour>();
  const all = new Map<string, Received[]>();
  const attempts = new Map<string, number>();
  let changed = Promise.withResolvers<void>();
  const at = (path: string) => [...(all.get(path) ?? [])];
  let total = 0;
  const server = createServer(async (request, response) => {
    const path = request.url ?? '';
    const body = await text(request).catch(() => null);
    // Its sender died in the middle of it.
    if (body === null) return;
    const { type, data } = Event.parse(JSON.parse(body));
    const id = String(request.headers['webhook-id']);
    const { headers } = request;
    const received = { path, headers, body, id, type, of: data.id, atMs: Date.now() };
    const former = all.get(path);
    if (former) former.push(received);
    else all.set(path, [received]);
    total += 1;
    const attempt = (attempts.get(`${path} ${id}`) ?? 0) + 1;
    attempts.set(`${path} ${id}`, attempt);
    const behave = behaviours.get(path) ?? answer(204);
    behave(response, attempt, received);
    changed.resolve();
    changed = Promise.withResolvers();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    ...{ port, at },
    all: () => [...all.values()].flat(),
    url: (path) => `http://127.0.0.1:${port}${path}`,
    on: (path, behaviour) => void behaviours.set(path, behaviour),
    async until(path, count) {
      while ((all.get(path)?.length ?? 0) < count) await changed.promise;
      return at(path);
    },
    async untilMore(count) {
      const wanted = total + count;
      while (total < wanted) await changed.promise;
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Answers every attempt alike. */
export function answer(
  status: number,
  { headers = {}, body = '' }: { headers?: Record<string, string>; body?: string } = {},
): Behaviour {
  return (response) => void response.writeHead(status, headers).end(body);
}

/** Answers the first attempts with `statuses`, and all later ones with 204. */
export function answers(...statuses: number[]): Behaviour {
  return (response, attempt) => void response.writeHead(statuses[attempt - 1] ?? 204).end();
}
