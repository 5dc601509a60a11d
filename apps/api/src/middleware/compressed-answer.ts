import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Context } from 'hono';
import { answer } from './answer.ts';
import type { ApiEnv } from './api-env.ts';

const compress = promisify(gzip);

/** `gzip`, unless its weight is 0. */
const TAKES_GZIP = /(^|,)\s*gzip\s*(;\s*q=(1|0\.0*[1-9])[\d.]*\s*)?(,|$)/i;

/**
 * JSON for a caller who may want it compressed: for answers that say much the same again and again,
 * and hold nothing secret beside what a caller has sent.
 */
export async function answerCompressedJson(c: Context<ApiEnv>, body: unknown): Promise<Response> {
  const json = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', vary: 'accept-encoding' };
  if (!TAKES_GZIP.test(c.req.header('accept-encoding') ?? '')) return answer(c, json, { headers });
  const bytes = await compress(json);
  return answer(c, bytes, { headers: { ...headers, 'content-encoding': 'gzip' } });
}
