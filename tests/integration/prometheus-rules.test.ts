import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function promtool(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, output: `${stdout}${stderr}` };
}

const skip =
  promtool('--version').status !== 0 && 'needs promtool, of the Debian package prometheus';

describe('promtool', { skip }, () => {
  test('accepts the configuration and the rules', () => {
    const { status, output } = promtool('check', 'config', 'observability/prometheus.yml');
    assert.equal(status, 0, output);
  });

  test('sees each alert fire, and not fire, as its unit tests say', () => {
    const files = globSync('observability/rules/tests/*.yml', { cwd: ROOT });
    assert.ok(files.length > 1);
    const { status, output } = promtool('test', 'rules', ...files);
    assert.equal(status, 0, output);
  });
});
