type Watcher = (sentBytes: number) => void;

let watcher: Watcher | null = null;

/** Has the next upload tell how far it is. @returns how to end that */
export function watchUpload(given: Watcher): () => void {
  watcher = given;
  return () => {
    watcher = null;
  };
}

/**
 * `fetch`, but that an upload which is watched tells how far it is. Browsers say so of an
 * XMLHttpRequest alone; a Blob is sent from the disk with both, and never whole in memory.
 */
export const sendWithProgress: typeof fetch = (input, init = {}) => {
  const { body } = init;
  if (watcher === null || !(body instanceof Blob) || !`${input}`.endsWith('/v1/files')) {
    return fetch(input, init);
  }
  return send(`${input}`, init, { body, onProgress: watcher });
};

function send(
  url: string,
  init: RequestInit,
  { body, onProgress }: { body: Blob; onProgress: Watcher },
): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const request = new XMLHttpRequest();
  request.open(init.method ?? 'POST', url);
  new Headers(init.headers).forEach((value, name) => void request.setRequestHeader(name, value));
  request.upload.addEventListener('progress', ({ loaded }) => onProgress(loaded));
  request.addEventListener('load', () => resolve(responseOf(request)));
  request.addEventListener('error', () => reject(new TypeError('the upload failed')));
  const { signal } = init;
  request.addEventListener('abort', () => reject(signal?.reason ?? new TypeError('aborted')));
  signal?.addEventListener('abort', () => request.abort(), { once: true });
  if (signal?.aborted) reject(signal.reason);
  else request.send(body);
  return promise;
}

function responseOf(request: XMLHttpRequest): Response {
  const headers = new Headers();
  for (const line of request.getAllResponseHeaders().trim().split(/\r?\n/)) {
    const at = line.indexOf(':');
    if (at > 0) headers.append(line.slice(0, at), line.slice(at + 1).trim());
  }
  return new Response(request.responseText, { status: request.status, headers });
}
