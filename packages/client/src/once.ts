import { randomHex } from './random-hex.ts';
import type { Request } from './transport.ts';

/** A request that is done once, however often it is sent: under a key of its own. */
export function once(): Required<Pick<Request, 'method' | 'headers' | 'repeat'>> {
  return { method: 'POST', headers: { 'idempotency-key': randomHex() }, repeat: 'always' };
}
