import type { Context } from 'hono';
import type { ApiEnv } from './api-env.ts';

type Plain = Record<string, string>;

/**
 * An answer with the headers that all have. They stay a plain object up to the socket: building a
 * `Headers` for each answer is what costs most in a short request.
 */
export function answer(
  c: Context<ApiEnv>,
  body: ConstructorParameters<typeof Response>[0],
  { status = 200, headers }: { status?: number; headers?: Plain } = {},
): Response {
  return new Response(body, {
    status,
    headers: {
      'x-request-id': c.get('requestId'),
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      ...headers,
    },
  });
}

export function answerJson(
  c: Context<ApiEnv>,
  body: unknown,
  options?: { status?: number; headers?: Plain },
): Response {
  return answerJsonText(c, JSON.stringify(body), options);
}

/** @param json the body as it goes out */
export function answerJsonText(
  c: Context<ApiEnv>,
  json: string,
  { status = 200, headers }: { status?: number; headers?: Plain } = {},
): Response {
  return answer(c, json, {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  });
}
