import { readFile } from 'node:fs/promises';
import type { Context } from 'hono';
import packageJson from '../../package.json' with { type: 'json' };
import { answer } from '../middleware/answer.ts';
import type { ApiEnv } from '../middleware/api-env.ts';
import { type ApiApp, KEY_SCHEME } from './add-route.ts';

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Headrace API</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

const START = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
});
`;

const JAVASCRIPT = 'text/javascript; charset=utf-8';

/** Files of the Swagger UI package, by the path they are served on. */
const ASSETS = [
  { path: '/docs/swagger-ui.js', file: 'swagger-ui-bundle.js', type: JAVASCRIPT },
  { path: '/docs/swagger-ui.css', file: 'swagger-ui.css', type: 'text/css; charset=utf-8' },
  { path: '/docs/favicon.png', file: 'favicon-32x32.png', type: 'image/png' },
];

/** The OpenAPI document of all routes that were added before, and a page to read it. */
export function addDocRoutes(app: ApiApp): void {
  let document: string | null = null;
  app.openAPIRegistry.registerComponent('securitySchemes', KEY_SCHEME, {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key, `hr_<key id>_<secret>`; a server without any key asks for none.',
  });
  app.get('/openapi.json', (c) => {
    document ??= JSON.stringify(app.getOpenAPI31Document(DOCUMENT));
    return answer(c, document, { headers: { 'content-type': 'application/json' } });
  });
  app.get('/docs', (c) => {
    const headers = {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'referrer-policy': 'no-referrer',
    };
    return answer(c, PAGE, { headers });
  });
  app.get('/docs/start.js', (c) => asset(c, Buffer.from(START), JAVASCRIPT));
  for (const { path, file, type } of ASSETS) {
    let content: Promise<Buffer> | null = null;
    app.get(path, async (c) => {
      content ??= readFile(new URL(import.meta.resolve(`swagger-ui-dist/${file}`)));
      return asset(c, await content, type);
    });
  }
}

function asset(c: Context<ApiEnv>, content: Buffer, type: string): Response {
  const headers = { 'content-type': type, 'cache-control': 'public, max-age=3600' };
  return answer(c, new Uint8Array(content), { headers });
}

const DOCUMENT = {
  openapi: '3.1.0',
  info: {
    title: 'Headrace',
    version: packageJson.version,
    description: 'Submit a text job, poll its result.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: '/' }],
};
