/** As much of `XMLHttpRequest` as is used here: Node has none. */
interface Xhr {
  readonly status: number;
  readonly responseText: string;
  readonly upload: { onprogress: ((event: { loaded: number }) => void) | null };
  onload: (() => void) | null;
  onerror: (() => void) | null;
  onabort: (() => void) | null;
  open(method: string, url: string): void;
  setRequestHeader(name: string, value: string): void;
  getAllResponseHeaders(): string;
  send(body: Blob): void;
  abort(): void;
}

interface XhrRequest {
  method: string;
  headers: Record<string, string>;
  body: Blob;
  signal: AbortSignal | undefined;
  /** Bytes of the body that have left. */
  onSent: (bytes: number) => void;
}

/**
 * Whether this is a page. There, only an `XMLHttpRequest` tells how much of a body has left: streams
 * as bodies are not in every browser, and over HTTP/1.1 in none.
 */
export function hasXhr(): boolean {
  return isXhr(xhrOfPage());
}

/** What `fetch` would do, telling what was sent. @throws TypeError, as it does */
export function fetchByXhr(url: string, request: XhrRequest): Promise<Response> {
  const { method, headers, body, signal, onSent } = request;
  return new Promise((resolve, reject) => {
    const Page = xhrOfPage();
    if (!isXhr(Page)) throw new TypeError('XMLHttpRequest is missing');
    signal?.throwIfAborted();
    const xhr = new Page();
    const abort = () => xhr.abort();
    const end = (then: () => void) => () => {
      signal?.removeEventListener('abort', abort);
      then();
    };
    xhr.upload.onprogress = ({ loaded }) => onSent(loaded);
    xhr.onload = end(() => resolve(answerOf(xhr)));
    xhr.onerror = end(() => reject(new TypeError('the upload failed')));
    xhr.onabort = end(() => reject(signal?.reason));
    signal?.addEventListener('abort', abort);
    xhr.open(method, url);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.send(body);
  });
}

function answerOf(xhr: Xhr): Response {
  const lines = xhr.getAllResponseHeaders().split('\r\n').filter(Boolean);
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  return new Response(xhr.status === 204 ? null : xhr.responseText, {
    status: xhr.status,
    headers,
  });
}

function xhrOfPage(): unknown {
  return Reflect.get(globalThis, 'XMLHttpRequest');
}

function isXhr(value: unknown): value is new () => Xhr {
  return typeof value === 'function';
}
