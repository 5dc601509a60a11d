import { randomBytes } from 'node:crypto';
import { verifyWebhook } from '@headrace/client';
import { signatureHeaders } from '@headrace/shared/webhook-signature.ts';
import OpenAI from 'openai';
import { Webhook } from 'standardwebhooks';

/** A callback, and the secret that its receiver has. */
export interface SignedCallback {
  body: string;
  headers: ReturnType<typeof signatureHeaders>;
  secret: string;
}

type Verify = (callback: SignedCallback) => Promise<unknown>;

const openai = new OpenAI({ apiKey: 'none' });

/** Each throws unless the signature is good, and gives the parsed body. */
export const VERIFIERS: Record<string, Verify> = {
  standardwebhooks: async ({ body, headers, secret }) => new Webhook(secret).verify(body, headers),
  'openai webhooks.unwrap': ({ body, headers, secret }) =>
    openai.webhooks.unwrap(body, headers, secret),
  'our client': ({ body, headers, secret }) => verifyWebhook(body, headers, { secret }),
};

/** @returns whether a verifier accepts a callback */
export function accepts(verifier: Verify, callback: SignedCallback): Promise<boolean> {
  return verifier(callback).then(
    () => true,
    () => false,
  );
}

export function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

const HOUR_S = 3_600;
const BODY_PLACES = 64;
/** The last characters of a signature hold unused bits and the padding. */
const SIGNATURE_PLACES = 42;

/** What a receiver must not accept, made of a callback that it accepts. */
export function tampered(callback: SignedCallback): Map<string, SignedCallback> {
  const all = new Map<string, SignedCallback>();
  const { body, headers, secret } = callback;
  const withHeaders = (name: string, changed: Partial<SignedCallback['headers']>) =>
    all.set(name, { ...callback, headers: { ...headers, ...changed } });
  const withBody = (name: string, changed: string) => all.set(name, { ...callback, body: changed });

  const characters = Array.from(body);
  for (let i = 0; i < BODY_PLACES; i++) {
    const place = Math.floor((i * characters.length) / BODY_PLACES);
    withBody(`another character ${place} of the body`, flip(characters, place));
  }
  withBody('a body with a space more', `${body} `);
  withBody('half the body', body.slice(0, body.length / 2));
  withBody('no body', '');

  const id = headers['webhook-id'];
  for (const place of id.split('').keys()) {
    withHeaders(`another character ${place} of the id`, { 'webhook-id': flip(id, place) });
  }
  withHeaders('no id', { 'webhook-id': '' });

  const madeS = Number(headers['webhook-timestamp']);
  for (const [name, offsetS] of Object.entries(OFFSETS)) {
    const at = { 'webhook-timestamp': String(madeS + offsetS) };
    withHeaders(`a timestamp of ${name}`, at);
  }
  withHeaders('no timestamp', { 'webhook-timestamp': '' });
  withHeaders('no number as timestamp', { 'webhook-timestamp': 'now' });
  for (const timestampS of [madeS - HOUR_S, madeS + HOUR_S]) {
    const signed = signatureHeaders([secret], { id, timestampS, body });
    withHeaders(`one that was well signed for ${timestampS - madeS} s from now`, signed);
  }

  for (const [name, signature] of badSignatures(callback)) {
    withHeaders(name, { 'webhook-signature': signature });
  }
  all.set('another secret', { ...callback, secret: newSecret() });
  return all;
}

const OFFSETS = { 'a second later': 1, 'a second earlier': -1, 'an hour ago': -HOUR_S };

function badSignatures({ headers }: SignedCallback): [string, string][] {
  const given = headers['webhook-signature'];
  const signatures = given.split(' ').map((each) => each.slice('v1,'.length));
  const each = (change: (signature: string) => string) =>
    signatures.map((signature) => `v1,${change(signature)}`).join(' ');
  const strangers = () => signatures.map(() => randomBytes(32).toString('base64'));
  return [
    ...Array.from({ length: SIGNATURE_PLACES }, (_, place): [string, string] => [
      `another character ${place} of the signature`,
      each((signature) => flip(signature, place)),
    ]),
    ['no signature', ''],
    ['half a signature', each((signature) => signature.slice(0, 22))],
    ['the signature of another version', given.replaceAll('v1,', 'v2,')],
    ['signatures of strangers', strangers().join(' v1,').replace(/^/, 'v1,')],
  ];
}

/** Another character at a place, of those that any part may have. */
function flip(characters: ArrayLike<string> & Iterable<string>, place: number): string {
  const changed = Array.from(characters);
  changed[place] = changed[place] === 'A' ? 'B' : 'A';
  return changed.join('');
}
