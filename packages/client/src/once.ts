import type { Request } from './transport.ts';

/** A request that is done once, however often it is sent: under a key of its own. */
export function once(): Required<Pick<Request, 'method' | 'headers' | 'repeat'>> {
  return { method: 'POST', headers: { 'idempotency-key': newKey() }, repeat: 'always' };
}

/** `crypto.randomUUID` is missing in pages that came over plain HTTP. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
