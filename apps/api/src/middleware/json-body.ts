import { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { AppError } from '@headrace/shared/errors.ts';
import { checkStructure } from '@headrace/shared/json-structure.ts';
import type { Context } from 'hono';
import { countLargeBody, SMALL_BYTES } from '../large-bodies.ts';
import { releaseBytes } from '../release-bytes.ts';
import type { ApiEnv } from './api-env.ts';

export interface BodyLimits {
  maxBodyBytes: number;
  /** Most `"name": value` pairs of a body, over all its objects; as many objects and lists. */
  maxFields: number;
}

const BYTE_ORDER_MARK = /^\ufeff/;
const JSON_TYPE = /^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?;?\s*$/i;

/**
 * The parsed body of a request. What could cost much is refused before it is paid for: size while
 * the body streams in, nesting and the number of fields before it is parsed.
 * @throws AppError `unsupported_media_type`, `body_too_large` or `invalid_request`
 */
export async function readJson(c: Context<ApiEnv>, limits: BodyLimits): Promise<unknown> {
  checkHeaders(c, limits);
  const text = await readText(c, limits.maxBodyBytes);
  checkStructure(text, limits.maxFields);
  try {
    return JSON.parse(text);
  } catch {
    throw new AppError('invalid_request', { message: 'the body is not valid JSON' });
  }
}

function checkHeaders(c: Context<ApiEnv>, limits: BodyLimits): void {
  if (!JSON_TYPE.test(c.req.header('content-type') ?? '')) {
    throw new AppError('unsupported_media_type');
  }
  const encoding = c.req.header('content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new AppError('unsupported_media_type', { message: 'content-encoding must be identity' });
  }
  const length = Number(c.req.header('content-length') ?? 0);
  if (length > limits.maxBodyBytes) throw tooLarge(limits.maxBodyBytes);
}

/** A small one is read in the cheapest way; its length, which the parser holds it to, was checked. */
async function readText(c: Context<ApiEnv>, maxBytes: number): Promise<string> {
  const length = c.req.header('content-length');
  if (length !== undefined && Number(length) <= SMALL_BYTES) return c.req.raw.text();
  const decoder = new StringDecoder('utf8');
  const texts: string[] = [];
  let bytes = 0;
  for await (const piece of piecesOf(c)) {
    bytes += piece.byteLength;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    texts.push(decoder.write(piece));
    releaseBytes(piece);
  }
  texts.push(decoder.end());
  if (bytes > SMALL_BYTES) countLargeBody(bytes);
  return texts.join('').replace(BYTE_ORDER_MARK, '');
}

/** The rest of one that is not read to its end is left to the server. */
function piecesOf(c: Context<ApiEnv>): AsyncIterable<Uint8Array> {
  return (
    c.env?.incoming?.iterator({ destroyOnReturn: false }) ?? Readable.from(c.req.raw.body ?? [])
  );
}

function tooLarge(maxBytes: number): AppError {
  return new AppError('body_too_large', { message: `the body has more than ${maxBytes} bytes` });
}
