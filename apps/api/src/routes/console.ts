import type { Context } from 'hono';
import { ENCODINGS, type Packed } from '../console/build.ts';
import type { ReadConsole } from '../console/console.ts';
import { answer } from '../middleware/answer.ts';
import type { ApiEnv } from '../middleware/api-env.ts';
import type { ApiApp } from './add-route.ts';

/** Paths of the console, which ask for no key: it asks the API with one. */
export function isConsolePath(path: string): boolean {
  return path === '/' || path.startsWith('/console/');
}

/** The console: a page at `/`, and its files below a hash of them, for ever the same. */
export function addConsoleRoutes(app: ApiApp, readConsole: ReadConsole): void {
  app.get('/', async (c) => {
    const { page, etag, contentSecurityPolicy } = await readConsole();
    const headers = {
      etag,
      'cache-control': 'no-cache',
      'content-security-policy': contentSecurityPolicy,
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
    };
    if (c.req.header('if-none-match') === etag) return answer(c, null, { status: 304, headers });
    return answerPacked(c, page, headers);
  });
  app.get('/console/*', async (c, next) => {
    const { assets } = await readConsole();
    const asset = assets.get(c.req.path);
    if (asset === undefined) return next();
    return answerPacked(c, asset, { 'cache-control': 'public, max-age=31536000, immutable' });
  });
}

function answerPacked(
  c: Context<ApiEnv>,
  { type, plain, packed }: Packed,
  headers: Record<string, string>,
): Response {
  const accepted = c.req.header('accept-encoding') ?? '';
  const encoding = ENCODINGS.find((name) => accepts(accepted, name));
  const body = encoding === undefined ? plain : packed[encoding];
  return answer(c, new Uint8Array(body), {
    headers: {
      'content-type': type,
      vary: 'accept-encoding',
      ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
      'content-length': `${body.byteLength}`,
      ...headers,
    },
  });
}

/** Named, and not with the weight 0. */
function accepts(header: string, encoding: string): boolean {
  return header.split(',').some((part) => {
    const [name = '', ...parameters] = part
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/);
    return name === encoding && !parameters.some((value) => /^q=0(\.0*)?$/.test(value));
  });
}
