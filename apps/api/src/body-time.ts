import type { IncomingMessage } from 'node:http';

const BODY_MS = 30_000;
/** An upload that stands still for so long is given up, whoever holds it up. */
const UPLOAD_PAUSE_MS = 60_000;
const UPLOAD = /^\/v1\/files(\?|$)/;

export interface BodyTimes {
  bodyMs: number;
  uploadPauseMs: number;
}

/**
 * Bounds how long a client may take to send a body: all of it in 30 s, or, if it uploads a file,
 * the next piece within 60 s.
 */
export function limitBodyTime(
  request: IncomingMessage,
  onLate: () => void,
  { bodyMs, uploadPauseMs }: BodyTimes = { bodyMs: BODY_MS, uploadPauseMs: UPLOAD_PAUSE_MS },
): void {
  if (!hasBody(request)) return;
  const isUpload = request.method === 'POST' && UPLOAD.test(request.url ?? '');
  const allowedMs = isUpload ? uploadPauseMs : bodyMs;
  let received = request.socket.bytesRead;
  const timer = setTimeout(() => {
    const now = request.socket.bytesRead;
    if (isUpload && now > received) {
      received = now;
      timer.refresh();
      return;
    }
    onLate();
  }, allowedMs);
  const settle = () => clearTimeout(timer);
  request.once('end', settle);
  request.once('close', settle);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
