import type { IncomingMessage } from 'node:http';

const BODY_MS = 30_000;
/** In each of these stretches a body must grow, so that dripping does not pay. */
const STRETCH_MS = 10_000;
const LEAST_BYTES_A_STRETCH = 5_000;
/** An upload that stands still for so long is given up, whoever holds it up. */
const UPLOAD_PAUSE_MS = 60_000;
const UPLOAD = /^\/v1\/files(\?|$)/;

export interface BodyTimes {
  bodyMs: number;
  stretchMs: number;
  uploadPauseMs: number;
}

const BODY_TIMES = { bodyMs: BODY_MS, stretchMs: STRETCH_MS, uploadPauseMs: UPLOAD_PAUSE_MS };

/**
 * Bounds how long a client may take to send a body: all of it in 30 s, and at least 5,000 bytes in
 * each 10 s until its end; or, if it uploads a file, the next piece within 60 s.
 */
export function limitBodyTime(
  request: IncomingMessage,
  onLate: () => void,
  { bodyMs, stretchMs, uploadPauseMs }: BodyTimes = BODY_TIMES,
): void {
  if (!hasBody(request)) return;
  const isUpload = request.method === 'POST' && UPLOAD.test(request.url ?? '');
  const leastBytes = isUpload ? 1 : LEAST_BYTES_A_STRETCH;
  let stretches = isUpload ? Number.POSITIVE_INFINITY : Math.ceil(bodyMs / stretchMs);
  let received = request.socket.bytesRead;
  const timer = setTimeout(
    () => {
      const now = request.socket.bytesRead;
      stretches -= 1;
      if (stretches <= 0 || now - received < leastBytes) return onLate();
      received = now;
      timer.refresh();
    },
    isUpload ? uploadPauseMs : stretchMs,
  );
  const settle = () => clearTimeout(timer);
  request.once('end', settle);
  request.once('close', settle);
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
