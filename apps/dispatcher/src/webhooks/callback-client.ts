import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import {
  hostOf,
  type ReceiverRules,
  receiverProblem,
} from '@headrace/shared/webhooks/receiver-rules.ts';
import { CallbackError } from './callback-error.ts';
import { openCheckedSocket } from './checked-socket.ts';
import { type ResolveHost, resolveByDns, resolveBySystem } from './resolve-host.ts';

interface CallbackClientOptions {
  rules: ReceiverRules;
  /** How names become addresses; unset: by DNS. What it answers is checked in any case. */
  resolve?: ResolveHost;
  /** Most bytes of the answer's body that are read. */
  headBytes?: number;
}

export interface CallbackRequest {
  headers: Record<string, string>;
  body: string;
  /** For all of it: name, connection, TLS, request and answer. */
  timeoutMs: number;
  signal?: AbortSignal;
}

export interface CallbackAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** The first bytes of the body, as text. */
  head: string;
  durationMs: number;
}

export interface CallbackClient {
  /**
   * One request to an address that a user gave; an answer of any status is an answer, and none is
   * followed.
   * @throws CallbackError when there is no answer
   */
  post(url: string, callback: CallbackRequest): Promise<CallbackAnswer>;
}

const HEAD_BYTES = 1_024;
const MAX_HEADER_BYTES = 16_384;

/** Opens connections to where users say, but never to where only the inside may go. */
export function createCallbackClient(options: CallbackClientOptions): CallbackClient {
  const { rules, headBytes = HEAD_BYTES } = options;
  const resolve = options.resolve ?? resolverFor(rules);
  return {
    async post(text, callback) {
      const startedAt = performance.now();
      const problem = receiverProblem(text, rules);
      if (problem !== null) throw new CallbackError('url_not_allowed', `the URL ${problem}`);
      const url = new URL(text);
      const deadline = AbortSignal.timeout(callback.timeoutMs);
      const signal = callback.signal ? AbortSignal.any([callback.signal, deadline]) : deadline;
      try {
        const socket = await openCheckedSocket(url, { rules, resolve, signal });
        const answer = await exchange(socket, { url, callback, signal, headBytes });
        return { ...answer, durationMs: performance.now() - startedAt };
      } catch (error) {
        if (deadline.aborted) throw new CallbackError('timed_out', 'no answer in time', error);
        if (signal.aborted) throw new CallbackError('canceled', 'the callback was given up', error);
        throw error;
      }
    },
  };
}

function resolverFor({ names }: ReceiverRules): ResolveHost {
  return (host, signal) => (names.has(host) ? resolveBySystem(host) : resolveByDns(host, signal));
}

interface Exchange {
  url: URL;
  callback: CallbackRequest;
  signal: AbortSignal;
  headBytes: number;
}

/** One request and its answer over a socket that is closed afterwards. */
async function exchange(socket: Socket, { url, callback, signal, headBytes }: Exchange) {
  const abort = () => socket.destroy();
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    const answer = await send(socket, url, callback);
    const head = await readHead(answer, headBytes);
    return { status: answer.statusCode ?? 0, headers: answer.headers, head };
  } catch (error) {
    throw error instanceof CallbackError ? error : closedEarly(error);
  } finally {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  }
}

/** The socket is given, so neither an agent nor a proxy of the environment has a say. */
function send(socket: Socket, url: URL, { headers, body }: CallbackRequest) {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request({
    createConnection: () => socket,
    method: 'POST',
    host: hostOf(url),
    path: `${url.pathname}${url.search}`,
    headers: {
      ...headers,
      host: url.host,
      connection: 'close',
      'content-length': Buffer.byteLength(body),
    },
    maxHeaderSize: MAX_HEADER_BYTES,
    insecureHTTPParser: false,
  });
  sent.once('response', resolve);
  sent.on('error', reject);
  sent.on('upgrade', () => reject(new CallbackError('invalid_response', 'an upgrade was offered')));
  sent.end(body);
  return promise;
}

/** The status has said all: what follows the head is not read, and what is late is left out. */
async function readHead(answer: IncomingMessage, headBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of answer) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= headBytes) break;
    }
  } catch {
    // The receiver stopped in the middle, or the time was over.
  }
  return new TextDecoder().decode(Buffer.concat(chunks).subarray(0, headBytes), { stream: true });
}

function closedEarly(error: unknown): CallbackError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new CallbackError(
      'response_too_large',
      'the headers of the answer are too large',
      error,
    );
  }
  if (code.startsWith('HPE_')) {
    return new CallbackError('invalid_response', 'the answer is not valid HTTP', error);
  }
  return new CallbackError('closed', 'the connection was closed before the answer', error);
}
