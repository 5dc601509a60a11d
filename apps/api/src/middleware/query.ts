import { AppError } from '@headrace/shared/errors.ts';
import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import type { Context } from 'hono';
import { z } from 'zod';
import type { ApiEnv } from './api-env.ts';

const NoQuery = z.strictObject({});
const NESTED = /^([^[\]]+)\[([^[\]]*)\]$/;

/**
 * The query of a request, `name[key]=value` as an object.
 * @throws AppError `invalid_request` for unknown, repeated and wrong parameters
 */
export function parseQuery<Shape extends z.ZodRawShape>(
  c: Context<ApiEnv>,
  schema: z.ZodObject<Shape>,
): z.infer<z.ZodObject<Shape>> {
  const parsed = schema.safeParse(c.req.url.includes('?') ? gather(c.req.queries()) : {});
  if (parsed.success) return parsed.data;
  throw invalidRequest(parsed.error);
}

/** @throws AppError `invalid_request` when there is any query parameter */
export function expectNoQuery(c: Context<ApiEnv>): void {
  if (c.req.url.includes('?')) parseQuery(c, NoQuery);
}

function gather(queries: Record<string, string[]>): Record<string, unknown> {
  const plain = new Map<string, unknown>();
  const nested = new Map<string, Map<string, string>>();
  for (const [name, values] of Object.entries(queries)) {
    const [value, ...more] = values;
    if (value === undefined) continue;
    if (more.length > 0) {
      const param = name.slice(0, 128);
      throw new AppError('invalid_request', { message: `${param}: is given twice`, param });
    }
    const [, outer, key] = NESTED.exec(name) ?? [];
    if (outer === undefined || key === undefined) plain.set(name, value);
    else nested.set(outer, (nested.get(outer) ?? new Map()).set(key, value));
  }
  for (const [name, pairs] of nested) plain.set(name, Object.fromEntries(pairs));
  return Object.fromEntries(plain);
}
