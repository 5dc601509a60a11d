import { AppError } from '@headrace/shared/errors.ts';
import { checkStructure } from '@headrace/shared/json-structure.ts';
import type { Context } from 'hono';
import type { ApiEnv } from './api-env.ts';

export interface BodyLimits {
  maxBodyBytes: number;
  /** Most `"name": value` pairs of a body, over all its objects; as many objects and lists. */
  maxFields: number;
}

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

/** With a length that the HTTP parser holds the client to, the limit has been checked already. */
async function readText(c: Context<ApiEnv>, maxBytes: number): Promise<string> {
  if (c.req.header('content-length') !== undefined) return c.req.raw.text();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of c.req.raw.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

function tooLarge(maxBytes: number): AppError {
  return new AppError('body_too_large', { message: `the body has more than ${maxBytes} bytes` });
}
