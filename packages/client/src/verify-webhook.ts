interface VerifyOptions {
  /** `whsec_…`; two while one takes the other's place. */
  secret: string | string[];
  /** Seconds by which the callback may be older or newer than now (300 unless given). */
  toleranceS?: number | undefined;
  now?: () => number;
}

/** The headers of a request, as fetch, Node or a framework give them. */
type RequestHeaders = Headers | Record<string, string | string[] | undefined>;

/** Why a callback is not to be trusted. */
export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError';
}

const TOLERANCE_S = 300;
const MAX_SIGNATURES = 8;

/**
 * Checks that a callback is from Headrace and fresh (Standard Webhooks 1.0.0), and gives its event.
 * A `webhook-id` may come more than once: whoever acts on a callback remembers those that it has seen.
 * @param body exactly as it came, not parsed and written again
 * @throws WebhookVerificationError
 */
export async function verifyWebhook(
  body: string,
  headers: RequestHeaders,
  { secret, toleranceS = TOLERANCE_S, now = Date.now }: VerifyOptions,
): Promise<WebhookEvent> {
  const id = headerOf(headers, 'webhook-id');
  const timestamp = headerOf(headers, 'webhook-timestamp');
  const signatures = headerOf(headers, 'webhook-signature').split(' ').slice(0, MAX_SIGNATURES);
  if (!/^\d{1,12}$/.test(timestamp)) throw new WebhookVerificationError('no valid timestamp');
  if (Math.abs(now() / 1000 - Number(timestamp)) > toleranceS) {
    throw new WebhookVerificationError('the timestamp is too far from now');
  }
  const signed = new TextEncoder().encode(`${id}.${timestamp}.${body}`);
  for (const one of Array.isArray(secret) ? secret : [secret]) {
    if (await isSigned(one, signatures, signed)) return JSON.parse(body);
  }
  throw new WebhookVerificationError('no signature fits');
}

/** What a callback says. */
export interface WebhookEvent {
  type: string;
  /** ISO 8601 */
  timestamp: string;
  /** The job or batch. */
  data: unknown;
}

/** The comparison is that of WebCrypto, which takes the same time wherever two differ. */
async function isSigned(
  secret: string,
  signatures: string[],
  signed: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const raw = bytesOf(secret.replace(/^whsec_/, ''));
  if (raw === null || raw.length === 0) throw new WebhookVerificationError('the secret is not one');
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', raw, algorithm, false, ['verify']);
  for (const signature of signatures) {
    const [version, base64 = ''] = signature.split(',');
    const given = version === 'v1' ? bytesOf(base64) : null;
    if (given !== null && (await crypto.subtle.verify('HMAC', key, given, signed))) return true;
  }
  return false;
}

function headerOf(headers: RequestHeaders, name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : inAnyCase(headers, name);
  const [first] = Array.isArray(value) ? value : [value];
  if (first) return first;
  throw new WebhookVerificationError(`${name} is missing`);
}

/** Some gateways hand on the names as they came, in whatever case. */
function inAnyCase(headers: Exclude<RequestHeaders, Headers>, name: string) {
  return Object.entries(headers).find(([given]) => given.toLowerCase() === name)?.[1];
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}
