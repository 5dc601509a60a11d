import { delay } from './delay.ts';
import { ConnectionError, errorOf } from './errors.ts';
import { type Repeat, retryDelayMs } from './retry.ts';
import { fetchByXhr } from './xhr.ts';

export interface ClientOptions {
  /** Such as `http://127.0.0.1:8000`; a path before `/v1` may be part of it. */
  baseUrl: string;
  apiKey?: string | undefined;
  fetch?: typeof globalThis.fetch | undefined;
}

/** What every call takes. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** How often a call that failed is tried again, where it may be (4 times unless given). */
  maxRetries?: number | undefined;
}

export interface Request extends CallOptions {
  method?: 'GET' | 'POST' | 'DELETE';
  path: string;
  query?: Record<string, string | number | undefined>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is; called once for each try, with a signal that says when that has ended. */
  body?: (ended: AbortSignal) => RequestBody;
  headers?: Record<string, string>;
  /** `GET` and `DELETE` are repeated always, what changes things only if it was refused. */
  repeat?: Repeat;
  /** Until the answer begins; null: as long as it takes. */
  timeoutMs?: number | null;
}

export interface RequestBody {
  content: string | Blob | ReadableStream<Uint8Array>;
  type: string;
  /** Of a Blob that a page sends: bytes of it that have left. */
  onSent?: ((bytes: number) => void) | undefined;
}

export interface Transport {
  /** The answer, its body unread. @throws HeadraceError, ConnectionError, or the signal's reason */
  send(request: Request): Promise<Response>;
  /** The JSON of the answer. @throws as `send` */
  json<T>(request: Request): Promise<T>;
}

const MAX_RETRIES = 4;
const TIMEOUT_MS = 60_000;

/** Requests to one server: with its key, repeated where that is safe. */
export function createTransport(options: ClientOptions): Transport {
  const { baseUrl, apiKey, fetch = globalThis.fetch } = options;
  const base = baseUrl.replace(/\/+$/, '');
  const authorization = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };

  async function attempt<T>(request: Request, read: Read<T>): Promise<T> {
    const { method = 'GET', path, query = {}, json, body, headers, signal } = request;
    const { timeoutMs = TIMEOUT_MS } = request;
    const ended = new AbortController();
    const given = json === undefined ? body?.(ended.signal) : jsonBody(json);
    const type = given === undefined ? {} : { 'content-type': given.type };
    const limit = withTimeout(signal, timeoutMs);
    try {
      const url = `${base}${path}${queryString(query)}`;
      const head = { method, headers: { ...authorization, ...type, ...headers } };
      const response = await sent(fetch, { url, head, given, signal: limit.signal });
      if (!response.ok) throw await errorOf(response);
      return await read(response);
    } catch (error) {
      signal?.throwIfAborted();
      throw connectionErrorOf(error, { base, timedOut: limit.passed() });
    } finally {
      limit.clear();
      ended.abort();
    }
  }

  async function repeated<T>(request: Request, read: Read<T>): Promise<T> {
    const { method = 'GET', signal, maxRetries = MAX_RETRIES } = request;
    const { repeat = method === 'POST' ? 'if-refused' : 'always' } = request;
    for (let retries = 0; ; retries += 1) {
      try {
        return await attempt(request, read);
      } catch (error) {
        const delayMs = retryDelayMs({ repeat, retries, error, random: Math.random() });
        if (retries >= maxRetries || delayMs === null) throw error;
        await delay(delayMs, signal);
      }
    }
  }

  return {
    send: (request) => repeated(request, async (response) => response),
    json: <T>(request: Request) => repeated<T>(request, readJson),
  };
}

type Read<T> = (response: Response) => Promise<T>;

/** The one place where an answer is taken for what the contract says it is. */
async function readJson<T>(response: Response): Promise<T> {
  const text = await response.text();
  try {
    const body: T = JSON.parse(text);
    return body;
  } catch (cause) {
    const { origin } = new URL(response.url || 'http://server');
    const message = `${origin} answers, but not as Headrace does.`;
    throw new ConnectionError(message, { cause, neverSent: false });
  }
}

function jsonBody(json: unknown): RequestBody {
  return { content: new Blob([JSON.stringify(json)]), type: 'application/json' };
}

interface Sending {
  url: string;
  head: { method: string; headers: Record<string, string> };
  given: RequestBody | undefined;
  signal: AbortSignal | undefined;
}

function sent(fetch: typeof globalThis.fetch, { url, head, given, signal }: Sending) {
  const { content, onSent } = given ?? {};
  if (content instanceof Blob && onSent !== undefined) {
    return fetchByXhr(url, { ...head, body: content, signal, onSent });
  }
  return fetch(url, {
    ...head,
    ...(given === undefined ? {} : bodyOf(given)),
    ...(signal === undefined ? {} : { signal }),
  });
}

/**
 * A stream is sent but once: to be able to follow a redirect, Node would keep all of it in memory.
 */
function bodyOf({ content }: RequestBody): RequestInit {
  if (!(content instanceof ReadableStream)) return { body: content };
  return { body: content, duplex: 'half', redirect: 'error' };
}

/** The caller's signal, or the time is over; the time no longer counts after `clear`. */
function withTimeout(signal: AbortSignal | undefined, timeoutMs: number | null) {
  if (timeoutMs === null) return { signal, passed: () => false, clear: () => {} };
  const time = new AbortController();
  const timer = setTimeout(() => time.abort(), timeoutMs);
  return {
    signal: signal === undefined ? time.signal : AbortSignal.any([signal, time.signal]),
    passed: () => time.signal.aborted,
    clear: () => clearTimeout(timer),
  };
}

function connectionErrorOf(
  error: unknown,
  { base, timedOut }: { base: string; timedOut: boolean },
): unknown {
  // What fetch itself throws; everything else has said already what it is.
  if (timedOut) {
    const message = `${base} did not answer in time.`;
    return new ConnectionError(message, { cause: error, neverSent: false });
  }
  if (!(error instanceof TypeError)) return error;
  const code = systemCode(error.cause);
  const neverSent = code !== null && /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN)$/.test(code);
  const why = neverSent ? 'cannot be reached' : 'broke the connection';
  const message = `${base} ${why}${code === null ? '' : ` (${code})`}.`;
  return new ConnectionError(message, { cause: error, neverSent });
}

/** Node names the system's error; browsers do not. */
function systemCode(cause: unknown): string | null {
  if (typeof cause !== 'object' || cause === null) return null;
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : null;
}

function queryString(query: Record<string, string | number | undefined>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, `${value}`);
  }
  return parameters.size === 0 ? '' : `?${parameters}`;
}
