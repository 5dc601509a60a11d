import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TINY_MODELS } from '../helpers/api.ts';
import { startCli } from '../helpers/cli.ts';
import { processFamily, stillRunning } from '../helpers/process-table.ts';

const ROWS = 3_000;
const SCORE = ['--model', 'tiny-classifier', '--text', 'review', '-o', 'scored.csv', '--local'];

test('--local starts a server, pauses and goes on with it, and leaves no process', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const env = {
    HEADRACE_HOME: folder,
    HEADRACE_MODELS_DIR: TINY_MODELS,
    HEADRACE_MODELS: 'tiny-classifier',
    HEADRACE_DEFAULT_MODEL: 'tiny-classifier',
    HEADRACE_ENGINES: '1',
    HEADRACE_CHUNK_ROWS: '20',
    // Nothing that a user has set for a server of another kind may get in its way.
    HEADRACE_URL: 'http://127.0.0.1:1',
    REDIS_URL: 'redis://127.0.0.1:1',
    PORT: '80',
  };
  const rows = Array.from({ length: ROWS }, (_, i) => `r${i},the cat number ${i}\n`);
  writeFileSync(join(folder, 'reviews.csv'), `id,review\n${rows.join('')}`);

  const cli = startCli(['score', 'reviews.csv', ...SCORE], { cwd: folder, env });
  await cli.until(/Ctrl-C pauses it/);
  const family = processFamily(cli.child.pid ?? 0);
  assert.ok(family.some(({ command }) => command.includes('redis-server')));
  cli.child.kill('SIGINT');
  assert.equal(await cli.exitCode, 5, cli.stderr());
  assert.deepEqual(stillRunning(family), []);

  const resume = /^ {2}headrace (resume batch_\w+ -o scored\.csv --local)$/m.exec(
    cli.stderr(),
  )?.[1];
  const again = startCli(resume?.split(' ') ?? [], { cwd: folder, env });
  assert.equal(await again.exitCode, 0, again.stderr());
  const scored = readFileSync(join(folder, 'scored.csv'), 'utf8').trimEnd().split('\n');
  assert.equal(scored.length, ROWS + 1);
  assert.match(scored.at(-1) ?? '', new RegExp(`^r${ROWS - 1},the cat number ${ROWS - 1},`));
});
