import { AppError } from '@headrace/shared/errors.ts';
import type { Context } from 'hono';
import { answer } from './answer.ts';
import type { ApiEnv } from './api-env.ts';
import type { RenderError } from './errors.ts';

interface Route {
  method: string;
  path: string;
}

/** What answers where no route fits: 405 with Allow on a known path, OPTIONS too, else 404. */
export function createNotFound(
  routes: () => Route[],
  renderError: RenderError,
): (c: Context<ApiEnv>) => Response {
  return (c) => {
    const methods = allowedMethods(routes(), c.req.path);
    if (methods.length === 0) {
      return renderError(c, new AppError('not_found', { message: 'No such route.' }));
    }
    const allow = methods.join(', ');
    if (c.req.method === 'OPTIONS') return answer(c, null, { status: 204, headers: { allow } });
    const refusal = renderError(c, new AppError('method_not_allowed'));
    refusal.headers.set('allow', allow);
    return refusal;
  };
}

function allowedMethods(routes: Route[], path: string): string[] {
  const methods = new Set(
    routes
      .filter(({ method, path: pattern }) => method !== 'ALL' && matches(pattern, path))
      .map(({ method }) => method),
  );
  if (methods.size === 0) return [];
  if (methods.has('GET')) methods.add('HEAD');
  return [...methods.add('OPTIONS')].sort();
}

/** `/v1/jobs/:id` against `/v1/jobs/job_1`. */
function matches(pattern: string, path: string): boolean {
  const expected = pattern.split('/');
  const given = path.split('/');
  return (
    expected.length === given.length &&
    expected.every((part, i) => (part.startsWith(':') ? given[i] !== '' : part === given[i]))
  );
}
