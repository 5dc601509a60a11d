import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import { createClient, HeadraceError } from '@headrace/client';
import { createCli } from '../../apps/cli/src/cli.ts';
import { EXIT } from '../../apps/cli/src/exit-codes.ts';
import { startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

let redis: TestRedis;
let api: TestApi;
let url: string;
before(async () => {
  redis = await startRedis();
  api = await startTestApi(redis.url);
  const { host, port } = await api.api.listen();
  url = `http://${host}:${port}`;
});
after(async () => {
  await api?.stop();
  await redis?.stop();
});

/** Runs a command to its end, in this process. */
async function run(args: readonly string[], env: Record<string, string> = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const stdout = new Writable({
    write(chunk, _, done) {
      out.push(String(chunk));
      done();
    },
  });
  const exitCode = await createCli({
    env: { HEADRACE_URL: url, ...env },
    stdin: () => Readable.from([]),
    stdout,
    stderr: { write: (text) => err.push(text) },
    interrupt: new AbortController().signal,
    startLocal: () => assert.fail('a server was started'),
  }).run(args);
  return { exitCode, out: out.join(''), err: err.join('') };
}

test('keys are created, used, listed and revoked from the command line', async () => {
  const wrong = await run(['keys', 'create', 'a', '--scope', 'jobs,root']);
  assert.equal(wrong.exitCode, EXIT.usage);
  assert.match(wrong.err, /jobs, batches, webhooks, admin/);
  const unfit = await run(['keys', 'create', 'a']);
  assert.equal(unfit.exitCode, EXIT.usage, unfit.err);
  assert.match(unfit.err, /scopes: the first key needs the scope admin/);

  for (const [options, problem] of [
    [['--rate-limit', '5'], /--rate-limit: needs --burst/],
    [['--burst', '5'], /--burst: goes with --rate-limit/],
    [['--rate-limit', 'five', '--burst', '5'], /--rate-limit .*from 0.001 to 1000000000/],
    [['--rate-limit', '0', '--burst', '5'], /--rate-limit .*from 0.001 to 1000000000/],
    [['--rate-limit', '5', '--burst', '0.5'], /--burst .*whole number from 1 to 1000000000/],
  ] as const) {
    const refused = await run(['keys', 'create', 'a', ...options]);
    assert.equal(refused.exitCode, EXIT.usage, refused.err);
    assert.match(refused.err, problem);
  }

  const first = await run(['keys', 'create', 'ops', '--scope', 'admin']);
  assert.equal(first.exitCode, EXIT.ok, first.err);
  assert.match(first.out, /^hr_key_\w{26}_\w{40}\n$/);
  assert.match(first.err, /key_\w{26} of tenant default, for admin/);
  const admin = { HEADRACE_API_KEY: first.out.trim() };
  const without = await run(['keys', 'list']);
  assert.match(without.err, /HEADRACE_API_KEY/);
  assert.notEqual(without.exitCode, EXIT.ok);

  const args = ['keys', 'create', 'indexer', '--tenant', 'search', '--days', '2'];
  const { out, err } = await run([...args, '--rate-limit', '0.5', '--burst', '40'], admin);
  assert.match(err, /of tenant search, for jobs, batches, 0\.5 rows\/s and 40 at once/);
  const listed = await run(['keys', 'list'], admin);
  const rows = listed.out.trimEnd().split('\n');
  assert.equal(rows.length, 3);
  assert.match(rows[1] ?? '', /^key_\w+ +indexer +search +jobs,batches +never +until 2/);
  assert.match(rows[2] ?? '', /^key_\w+ +ops +default +admin +(never|2\S+ \S+) +works/);
  assert.ok(!listed.out.includes('hr_'));

  const jobs = await run(['--api-key', out.trim(), 'jobs', '--json']);
  assert.equal(jobs.exitCode, EXIT.ok, jobs.err);
  const forbidden = await run(['--api-key', out.trim(), 'keys', 'list']);
  assert.match(forbidden.err, /lacks the scope admin[\s\S]*headrace keys create/);

  const id = /^key_\w+/.exec(rows[1] ?? '')?.[0] ?? '';
  const revoked = await run(['keys', 'revoke', id], admin);
  assert.match(revoked.out, /indexer .*revoked 2/);
  assert.notEqual((await run(['--api-key', out.trim(), 'jobs'])).exitCode, EXIT.ok);
  assert.notEqual((await run(['keys', 'revoke', 'key_x'], admin)).exitCode, EXIT.ok);

  const client = createClient({ baseUrl: url, apiKey: first.out.trim() });
  const page = await client.keys.list({ limit: 1 });
  assert.equal(page.data[0]?.id, id);
  assert.equal(page.has_more, true);
  const { tenant, rate_limit } = await client.keys.get(id);
  assert.equal(tenant, 'search');
  assert.deepEqual(rate_limit, { rows_per_s: 0.5, burst_rows: 40 });
  await assert.rejects(
    client.keys.get('key_x'),
    (error) => error instanceof HeadraceError && error.code === 'not_found',
  );
});
