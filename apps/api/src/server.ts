import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AppError } from '@headrace/shared/errors.ts';
import { getRequestListener } from '@hono/node-server';
import { hasBody, limitBodyTime } from './body-time.ts';
import { publicError } from './middleware/errors.ts';
import { releaseBytes } from './release-bytes.ts';
import type { ApiApp } from './routes/add-route.ts';

interface ServerOptions {
  app: ApiApp;
  maxConnections: number;
}

/** Times within which a client must have sent its request; waiting for the answer is not limited. */
const HEADERS_TIMEOUT_MS = 10_000;
const CHECK_CONNECTIONS_MS = 1_000;
const SWEEP_MS = 50;
/** How long, and how much, is read of a body that was refused. */
const DRAIN_MS = 5_000;
const DRAIN_BYTES = 64 * 2 ** 20;
/** Longer than the idle timeout of usual load balancers, which must be the ones to close. */
const KEEP_ALIVE_MS = 65_000;

/** The HTTP server around an application; it does not listen yet. */
export function createHttpServer({ app, maxConnections }: ServerOptions): Server {
  const listener = getRequestListener(app.fetch, {
    errorHandler: answerBadRequest,
    // It closes after half a second, before a slow client has read why its body was refused.
    autoCleanupIncoming: false,
  });
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      // Bodies have limits of their own: an upload may take as long as it goes on.
      requestTimeout: 0,
      connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    (request, response) => {
      limitBodyTime(request, () => refuse(request.socket));
      if (hasBody(request)) response.prependOnceListener('finish', () => drainRest(request));
      return listener(request, response);
    },
  );
  server.maxConnections = maxConnections;
  server.on('clientError', refuseBrokenRequest);
  return server;
}

/** Starts to listen. @returns the address; the port is the real one where 0 was asked for */
export function listen(
  server: Server,
  { host, port }: { host: string; port: number },
): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address();
      resolve({ host, port: typeof address === 'object' && address ? address.port : port });
    });
  });
}

/**
 * Lets requests in progress end, up to `deadlineMs`; then their sockets are closed. A kept connection
 * that is closed at the moment in which its client sends a request fails that request. So for
 * `lingerMs` none is closed but by the answer that says so (`Connection: close`): those in use are
 * gone then.
 */
export async function closeServer(
  server: Server,
  { lingerMs, deadlineMs }: Closing,
): Promise<void> {
  if (!server.listening) return;
  const timer = setTimeout(() => server.closeAllConnections(), deadlineMs);
  await untilUnconnected(server, lingerMs);
  // `close` does so once; connections whose request has ended since would stay open.
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  clearTimeout(timer);
  clearInterval(sweep);
}

interface Closing {
  lingerMs: number;
  deadlineMs: number;
}

/** Until there is no connection, `mostMs` at most. */
async function untilUnconnected(server: Server, mostMs: number): Promise<void> {
  const connections = promisify(server.getConnections.bind(server));
  const giveUp = performance.now() + mostMs;
  while (performance.now() < giveUp && (await connections()) > 0) await sleep(SWEEP_MS);
}

/**
 * Reads what is left of a body that was refused, for a while: the client may read the answer only
 * when it has sent all, and would never see it if the connection were closed before.
 */
function drainRest(request: IncomingMessage): void {
  if (request.readableEnded || request.destroyed) return;
  let bytes = 0;
  const close = () => request.socket.destroySoon();
  const timer = setTimeout(close, DRAIN_MS);
  request.once('close', () => clearTimeout(timer));
  request.once('end', () => clearTimeout(timer));
  // Unless somebody has begun to read, Node would throw the rest away itself, piece by piece, for the
  // garbage collector to find.
  request.read(0);
  request.on('data', (piece: Buffer) => {
    bytes += piece.byteLength;
    releaseBytes(piece);
    if (bytes > DRAIN_BYTES) close();
  });
}

/** A request that cannot even be routed: its target or its Host is no URL. */
function answerBadRequest(): Response {
  return new Response(BAD_REQUEST, {
    status: 400,
    headers: { 'content-type': 'application/json', 'x-request-id': randomUUID() },
  });
}

const BAD_REQUEST = JSON.stringify({
  error: publicError(
    new AppError('invalid_request', { message: 'the request is not valid HTTP, or came too late' }),
  ),
});

/** Bytes that the parser refuses, headers beyond 16 KiB, and requests that take too long. */
function refuseBrokenRequest(error: Error, socket: Duplex): void {
  const gone = 'code' in error && error.code === 'ECONNRESET';
  if (gone || !socket.writable) {
    socket.destroy();
    return;
  }
  refuse(socket);
}

/** Says why, once, and closes the connection. */
function refuse(socket: Duplex): void {
  const head = [
    'HTTP/1.1 400 Bad Request',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(BAD_REQUEST)}`,
    `x-request-id: ${randomUUID()}`,
    'connection: close',
  ];
  // A client that does not read must not keep the socket.
  socket.end(`${head.join('\r\n')}\r\n\r\n${BAD_REQUEST}`, () => socket.destroy());
}
