import { createHmac } from 'node:crypto';

interface SignedMessage {
  /** `webhook-id` */
  id: string;
  timestampS: number;
  body: string;
}

/**
 * The headers of a callback after Standard Webhooks 1.0.0: HMAC-SHA256 of `id.timestamp.body` with
 * each secret, so that a receiver that knows either of two accepts it.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 * @param secrets `whsec_` and the key in base64 each
 */
export function signatureHeaders(
  secrets: string[],
  { id, timestampS, body }: SignedMessage,
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const signed = `${id}.${timestampS}.${body}`;
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': signatures.join(' '),
  };
}
