import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('every file that SECURITY.md names is there', () => {
  const text = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8');
  const named = [...text.matchAll(/`((?:tests|scripts|k8s)\/[\w./-]+)`/g)].map(([, path]) => path);
  assert.ok(named.length >= 15);
  const missing = named.filter((path = '') => !existsSync(join(ROOT, path)));
  assert.deepEqual(missing, []);
});
