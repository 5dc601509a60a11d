import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FILES = ['Dockerfile', 'docker-compose.yml', 'k8s/base/redis.yaml'];
const TOKEN = 'a token for one repository';

let generation = 1;
const digestOf = (path: string) =>
  `sha256:${createHash('sha256').update(`${generation} ${path}`).digest('hex')}`;

/** A registry: who asks for a manifest needs the token of its repository. */
const registry = createServer((request, response) => {
  const url = new URL(request.url ?? '', 'http://registry');
  if (url.pathname === '/token') {
    const token = `${TOKEN} ${url.searchParams.get('scope')}`;
    return response.end(JSON.stringify({ token }));
  }
  const [, repository] = /^\/v2\/(.+)\/manifests\//.exec(url.pathname) ?? [];
  const wanted = `Bearer ${TOKEN} repository:${repository}:pull`;
  if (request.headers.authorization !== wanted) return response.writeHead(401).end();
  response.setHeader('docker-content-digest', digestOf(url.pathname));
  return response.end();
});
registry.listen(0, '127.0.0.1');
await once(registry, 'listening');
const { port } = z.object({ port: z.int() }).loose().parse(registry.address());
const folder = mkdtempSync(join(tmpdir(), 'headrace-pins-'));
for (const file of FILES) cpSync(join(ROOT, file), join(folder, file));
after(() => {
  rmSync(folder, { recursive: true });
  registry.close();
});

function pin(...args: string[]): Promise<{ code: number; output: string }> {
  const base = `http://127.0.0.1:${port}`;
  const script = [join(ROOT, 'scripts/images/pin.mjs'), '--registry', base, '--auth', base];
  return new Promise((resolve) => {
    execFile(process.execPath, [...script, ...args], { cwd: folder }, (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), output: stdout + stderr });
    });
  });
}

test('every image is pinned by the digest that its registry names, and a new one is noticed', async () => {
  const read = () => FILES.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
  const names = [...new Set(read().match(/docker\.io\/[\w./-]+:[\w.-]+/g))];
  assert.equal(names.length, 7);

  assert.equal((await pin('--check')).code, 1);
  assert.equal((await pin()).code, 0);
  for (const name of names) {
    const [, repository, tag] = /^docker\.io\/(.+):(.+)$/.exec(name) ?? [];
    assert.ok(read().includes(`${name}@${digestOf(`/v2/${repository}/manifests/${tag}`)}`));
  }
  assert.deepEqual(await pin('--check'), { code: 0, output: '' });

  generation += 1;
  const { code, output } = await pin('--check');
  assert.equal(code, 1);
  assert.match(output, /Dockerfile: docker\.io\/library\/node:.* is sha256:.*, not sha256:/);
  assert.equal((await pin()).code, 0);
  assert.equal((await pin('--check')).code, 0);
});
