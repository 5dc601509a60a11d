import { createHash } from 'node:crypto';
import { AppError } from '@headrace/shared/errors.ts';
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { ApiEnv } from './api-env.ts';
import { callerOf } from './caller.ts';

/** A request that is to be done once, however often it is sent. */
export interface Once {
  /** Of tenant and key: nothing that a client sends is part of a Redis key. */
  digest: string;
  /** Of the route and of what is asked for. */
  fingerprint: string;
}

const NAME = 'idempotency-key';
const KEY = /^[\x21-\x7e]{1,255}$/;

/** Of the document: the header that a route takes. */
export const ONCE_HEADER = {
  [NAME]: z
    .string()
    .optional()
    .describe('1 to 255 visible ASCII characters, kept 24 h; the first answer is given again.'),
};

/** Says that an answer is that of an earlier request. */
export const REPLAYED = { 'idempotent-replayed': 'true' };

/**
 * What the Idempotency-Key of a request stands for; null without one.
 * @param asked the request as it was parsed, so that neither space nor the order of fields matters
 * @throws AppError `invalid_request`
 */
export function onceOf(c: Context<ApiEnv>, route: string, asked: unknown): Once | null {
  const digest = onceDigestOf(c);
  return digest === null ? null : { digest, fingerprint: fingerprintOf(route, asked) };
}

/** As `onceOf`, where what is asked for is known only later. @throws AppError `invalid_request` */
export function onceDigestOf(c: Context<ApiEnv>): string | null {
  const key = c.req.header(NAME);
  if (key === undefined) return null;
  if (!KEY.test(key)) {
    const message = 'Idempotency-Key must be 1 to 255 visible ASCII characters without spaces';
    throw new AppError('invalid_request', { message, param: 'Idempotency-Key' });
  }
  return sha256(`${callerOf(c).tenant}\0${key}`);
}

export function fingerprintOf(route: string, asked: unknown): string {
  return sha256(`${route}\0${JSON.stringify(asked, sortedFields)}`);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function sortedFields(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}
