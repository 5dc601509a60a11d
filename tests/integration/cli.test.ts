import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type Client, createClient } from '@headrace/client';
import { parquetReadObjects } from 'hyparquet';
import { z } from 'zod';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { startCli } from '../helpers/cli.ts';

const MODEL = ['--model', 'tiny-classifier'];
const SCORE = [...MODEL, '--text', 'review'];

let system: BulkSystem;
let client: Client;
let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'headrace-cli-'));
  const places = pathToFileURL(folder).href;
  system = await startBulkSystem({ HEADRACE_CHUNK_ROWS: '20', HEADRACE_INPUT_URLS: places });
  client = createClient({ baseUrl: system.apiUrl });
});
after(async () => {
  await system?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function start(
  args: readonly string[],
  options: { env?: Record<string, string>; stdin?: string } = {},
) {
  const { env = {}, ...rest } = options;
  return startCli(args, { cwd: folder, env: { HEADRACE_URL: system.apiUrl, ...env }, ...rest });
}

/** Runs a command to its end. */
async function run(args: readonly string[], options: Parameters<typeof start>[1] = {}) {
  const cli = start(args, options);
  const exitCode = await cli.exitCode;
  return { exitCode, out: cli.stdout(), err: cli.stderr() };
}

/** Runs a command that must succeed. @returns what it printed */
async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await run(args);
  assert.equal(exitCode, 0, err);
  return out;
}

/** The arguments of a command that was printed, as it stands on a line of its own. */
function printedCommand(text: string): string[] {
  const words = /^ {2}headrace (.+)$/m.exec(text)?.[1]?.split(' ');
  assert.ok(words, text);
  return words;
}

function urlOf(server: Server): string {
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

const read = (name: string) => readFileSync(join(folder, name));
const lines = (text: string | Buffer) => text.toString().trimEnd().split('\n');
const write = (name: string, content: string | Buffer) =>
  writeFileSync(join(folder, name), content);

const Row = z.record(z.string(), z.unknown());
const rowsOf = (text: string | Buffer) => lines(text).map((line) => Row.parse(JSON.parse(line)));

const texts = Array.from({ length: 90 }, (_, i) => `the cat number ${i}`);
const csvOf = (rows: string[]) =>
  `id,review\n${rows.map((text, i) => `r${i},${text}`).join('\n')}\n`;
const many = (count: number) =>
  csvOf(Array.from({ length: count }, (_, i) => `the cat number ${i}`));

describe('headrace score', () => {
  test('leaves an input where it is that the server may read itself', async () => {
    write('there.csv', csvOf(texts));
    const url = pathToFileURL(join(folder, 'there.csv')).href;
    await ok('score', url, ...SCORE, '-o', 'from-there.csv');
    assert.equal(lines(read('from-there.csv')).length, 91);
    const refused = await run(['score', 'file:///etc/passwd.csv', ...SCORE, '-o', 'no.csv']);
    assert.equal(refused.exitCode, 2, refused.err);
    assert.match(refused.err, /input_url/);
  });

  test('writes CSV, JSONL and Parquet beside the columns of the input, packed if it is named so', async () => {
    write('reviews.csv', csvOf(texts));
    const { exitCode, out, err } = await run(['score', 'reviews.csv', ...SCORE, '-o', 'a.csv']);
    assert.equal(exitCode, 0, err);
    assert.equal(out, '');
    assert.match(err, /90 rows scored in \d+ s -> a\.csv/);
    const [header, ...rows] = lines(read('a.csv'));
    assert.equal(header, 'id,review,label,score,truncated,error');
    assert.equal(rows.length, 90);
    for (const [i, row] of rows.entries())
      assert.match(row, new RegExp(`^r${i},the cat number ${i},`));

    write(
      'reviews.jsonl.gz',
      gzipSync(texts.map((review) => JSON.stringify({ review })).join('\n')),
    );
    await ok('score', 'reviews.jsonl.gz', ...SCORE, '-o', 'b.jsonl.gz');
    const answers = rowsOf(gunzipSync(read('b.jsonl.gz')));
    assert.deepEqual(
      answers.map(({ review }) => review),
      texts,
    );

    await ok('score', 'reviews.csv', ...SCORE, '--param', 'top_k=2', '-o', 'c.parquet');
    const bytes = new Uint8Array(read('c.parquet'));
    const table = await parquetReadObjects({ file: bytes.buffer });
    assert.deepEqual(
      table.map(({ review }) => review),
      texts,
    );
    assert.deepEqual(
      readdirSync(folder).filter((name) => /part|errors/.test(name)),
      [],
    );
  });

  test('reads the standard input and writes the standard output, and nothing else there', async () => {
    const stdin = texts.map((text) => JSON.stringify({ text, n: 1 })).join('\n');
    const { exitCode, out, err } = await run(['score', '-', ...MODEL], { stdin });
    assert.equal(exitCode, 0, err);
    const rows = rowsOf(out);
    assert.deepEqual(
      rows.map(({ text }) => text),
      texts,
    );
    assert.ok(rows.every(({ n, label }) => n === 1 && typeof label === 'string'));

    const csv = ['score', '-', ...SCORE, '--format', 'csv', '--id', 'id', '--no-join', '--quiet'];
    const bare = await run(csv, { stdin: csvOf(texts) });
    assert.equal(bare.err, '');
    assert.deepEqual(Object.keys(rowsOf(bare.out)[0] ?? {}).slice(0, 2), ['line', 'id']);
  });

  test('takes requests for an endpoint', async () => {
    const request = (i: number) => ({
      ...{ custom_id: `c${i}`, method: 'POST', url: '/v1/embeddings' },
      body: { model: 'tiny-embedder', input: `the cat ${i}` },
    });
    const stdin = [0, 1, 2].map((i) => JSON.stringify(request(i))).join('\n');
    const { exitCode, out, err } = await run(['score', '-', '--endpoint', '/v1/embeddings'], {
      stdin,
    });
    assert.equal(exitCode, 0, err);
    assert.deepEqual(
      rowsOf(out).map(({ custom_id }) => custom_id),
      ['c0', 'c1', 'c2'],
    );
  });

  test('says which column is missing, and what to do', async () => {
    write('reviews.csv', csvOf(texts));
    const { exitCode, err } = await run(['score', 'reviews.csv', ...MODEL, '-o', 'none.csv']);
    assert.equal(exitCode, 1);
    assert.match(err, /there is no column text; there are id, review[\s\S]*--text/);
    assert.ok(!existsSync(join(folder, 'none.csv')));
  });

  test('says what is wrong with a request before it uploads anything', async () => {
    write('reviews.csv', csvOf(texts));
    const { data: before } = await system.client.files.list();
    const wrong: [string[], RegExp][] = [
      [['--model', 'nope'], /No such model.*\n.*headrace models/],
      [[...MODEL, '--param', 'top_k=0'], /parameters\.top_k/],
      [[...MODEL, '--window', '8d'], /completion_window: .*1h to 7d/],
      [[...MODEL, '--text-pair', 'id'], /documents\.text_pair/],
    ];
    for (const [options, message] of wrong) {
      const { exitCode, err } = await run(['score', 'reviews.csv', ...options]);
      assert.equal(exitCode, 2, err);
      assert.match(err, message);
    }
    assert.equal((await system.client.files.list()).data.length, before.length);
  });

  test('keeps rows that fail apart, and runs them again', async () => {
    const rows = texts.map((text, i) => (i % 10 === 3 ? '' : text));
    write('holes.csv', csvOf(rows));
    const json = await run(['score', 'holes.csv', ...SCORE, '-o', 'holes.out.csv', '--json']);
    assert.equal(json.exitCode, 3);
    assert.match(json.err, /9 rows failed: holes\.out\.csv\.errors\.jsonl/);
    const errors = rowsOf(read('holes.out.csv.errors.jsonl'));
    assert.deepEqual(
      errors.map(({ line }) => line),
      rows.flatMap((text, i) => (text ? [] : [i + 2])),
    );
    const told = z
      .object({ batch: z.object({ id: z.string() }), output: z.string(), errors: z.string() })
      .parse(JSON.parse(json.out));
    assert.deepEqual([told.output, told.errors], ['holes.out.csv', 'holes.out.csv.errors.jsonl']);

    // What is wrong with these rows themselves is not tried again.
    const again = await run(['retry', told.batch.id, '-o', 'holes.out.csv']);
    assert.equal(again.exitCode, 1, again.err);
    assert.match(again.err, /nothing_to_retry/);
    assert.equal(rowsOf(read('holes.out.csv.errors.jsonl')).length, 9);
  });

  test('estimates in a dry run, and keeps nothing', async () => {
    write('reviews.csv', csvOf([...texts, '']));
    const { data: before } = await system.client.files.list();
    const { exitCode, out } = await run(['score', 'reviews.csv', ...SCORE, '--dry-run']);
    assert.equal(exitCode, 3);
    assert.match(out, /rows to run +90\n +rows not valid +1\n/);
    assert.equal((await system.client.files.list()).data.length, before.length);
  });
});

describe('Ctrl-C', () => {
  test('pauses the batch; the command that is printed comes to the same bytes', async () => {
    write('many.csv', many(6_000));
    const cli = start(['score', 'many.csv', ...SCORE, '-o', 'paused.csv']);
    const id = /(batch_\w+): Ctrl-C/.exec(await cli.until(/Ctrl-C pauses it/))?.[1] ?? '';
    for await (const { progress } of client.batches.watch(id)) if (progress.rows_done > 0) break;
    cli.child.kill('SIGINT');
    assert.equal(await cli.exitCode, 5, cli.stderr());
    assert.ok((await client.batches.get(id)).paused);
    assert.ok(!existsSync(join(folder, 'paused.csv')));

    const resume = printedCommand(cli.stderr());
    assert.deepEqual(resume, ['resume', id, '-o', 'paused.csv']);
    await ok(...resume);
    await ok('score', 'many.csv', ...SCORE, '-o', 'whole.csv');
    assert.ok(read('paused.csv').equals(read('whole.csv')));
  });

  test('during an upload ends it, and no batch is created', async (t) => {
    const asked: string[] = [];
    const uploading = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const error = { code: 'not_found', param: 'input_file_id', message: '', retryable: false };
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      request.resume().once('close', () => request.url === '/v1/files' && gone.resolve());
      if (request.url === '/v1/files') request.once('data', () => uploading.resolve());
      else response.writeHead(404).end(JSON.stringify({ error }));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => server.close());
    const env = { HEADRACE_URL: urlOf(server) };
    const cli = startCli(['score', '-', ...MODEL], { cwd: folder, env, stdin: null });
    await uploading.promise;
    cli.child.kill('SIGINT');
    assert.equal(await cli.exitCode, 130, cli.stderr());
    await gone.promise;
    assert.deepEqual(asked, ['/v1/batches', '/v1/files']);
  });
});

describe('a batch', () => {
  test('is followed, paused, read while it runs, and read on from where that ended', async () => {
    write('many.csv', many(3_000));
    const id = (
      await ok('score', 'many.csv', ...SCORE, '--output-format', 'jsonl', '--detach')
    ).trim();
    for await (const { progress } of client.batches.watch(id)) if (progress.rows_done > 0) break;
    // At once: a process takes long enough to start for all of it to be over.
    await client.batches.pause(id);
    assert.match(await ok('pause', id), /is paused/);
    assert.match(await ok('batch', id), /^batch_\w+ {2}paused\n {2}model +tiny-classifier@1\n/);
    assert.match(await ok('batches'), new RegExp(`^${id} +paused`, 'm'));
    const some = await run(['results', id]);
    assert.equal(some.exitCode, 0, some.err);
    const first = rowsOf(some.out);
    assert.ok(first.length > 0 && first.length < 3_000);
    assert.match(some.err, new RegExp(`^${first.length.toLocaleString('en-US')} rows so far`));
    assert.match(await ok('resume', id), /is in_progress/);
    const rest = rowsOf(await ok(...printedCommand(some.err), '--follow'));
    assert.deepEqual(
      [...first, ...rest].map(({ id }) => id),
      Array.from({ length: 3_000 }, (_, i) => `r${i}`),
    );
    assert.equal((await run(['wait', id])).exitCode, 0);
    assert.deepEqual(rowsOf(await ok('results', id)), [...first, ...rest]);
    await ok('results', id, '-o', 'fetched.jsonl');
    assert.deepEqual(rowsOf(read('fetched.jsonl')), [...first, ...rest]);
    const wrong = await run(['results', id, '-o', 'fetched.csv']);
    assert.equal(wrong.exitCode, 2);
    assert.match(wrong.err, /jsonl is written/);
  });

  test('that is cancelled keeps what is done; a retry runs what was left', async () => {
    write('many.csv', many(3_000));
    const args = ['score', 'many.csv', ...SCORE, '-o', 'rest.csv', '--detach', '--json'];
    const { id } = z.object({ id: z.string() }).parse(JSON.parse(await ok(...args)));
    for await (const { progress } of client.batches.watch(id)) if (progress.rows_done > 0) break;
    await client.batches.pause(id);
    assert.match(await ok('cancel', id), /cancel/);
    const ended = await run(['wait', id, '--json']);
    assert.equal(ended.exitCode, 1);
    assert.equal(z.object({ status: z.string() }).parse(JSON.parse(ended.out)).status, 'cancelled');
    const fetched = await run(['resume', id, '-o', 'done.csv']);
    assert.equal(fetched.exitCode, 1);
    const left = rowsOf(read('done.csv.errors.jsonl')).length;
    await ok('retry', id, '-o', 'rest.csv');
    const done = existsSync(join(folder, 'done.csv')) ? lines(read('done.csv')).length - 1 : 0;
    assert.equal(lines(read('rest.csv')).length - 1, left);
    assert.equal(done + left, 3_000);
    assert.ok(!existsSync(join(folder, 'rest.csv.errors.jsonl')));
  });
});

describe('a job', () => {
  test('is submitted, waited for, shown and listed, as text or as JSON', async () => {
    const id = (await ok('submit', 'the cat', 'a dog', ...MODEL)).trim();
    assert.match(await ok('wait', id), new RegExp(`^${id}  succeeded  tiny-classifier@1  2 rows`));
    assert.match(await ok('get', id), /^ {2}1 {2}\w+ 0\.\d{4}\n {2}2 {2}\w+ 0\.\d{4}$/m);
    const shown = z.object({ id: z.string() }).parse(JSON.parse(await ok('get', id, '--json')));
    assert.equal(shown.id, id);
    const listed = rowsOf(await ok('jobs', '--json', '--limit', '5'));
    assert.ok(listed.some((job) => job.id === id));
    const webhook = ['--webhook', 'https://hooks.example/'];
    assert.match(await ok('submit', '--wait', 'the cat', ...webhook), /succeeded/);
    assert.equal((await client.webhooks.deliveries()).data[0]?.url, webhook[1]);
    const finished = await run(['cancel', id, '--json']);
    assert.equal(finished.exitCode, 1);
    assert.match(finished.err, /"code":"job_already_finished"/);
  });
});

test('the client turns texts into the vectors that a job gives', async () => {
  const request = { model: 'tiny-embedder', input: ['the cat', 'a dog'] };
  const { id } = await client.jobs.submit(request);
  const { vectors, model, tokens } = await client.embed(request);
  const job = await client.jobs.wait(id);
  assert.deepEqual([model, tokens], [job.model, job.usage?.tokens]);
  for (const [i, vector] of vectors.entries()) {
    const { embedding } = job.output?.[i] ?? {};
    assert.deepEqual([...vector], [...Float32Array.from(z.array(z.number()).parse(embedding))]);
  }
});

test('models are listed', async () => {
  assert.match(
    await ok('models'),
    /^tiny-classifier@1 \(default\) +text-classification +\w+, \w+/m,
  );
  const models = rowsOf(await ok('models', '--json'));
  assert.ok(models.some(({ id }) => id === 'tiny-embedder'));
});

test('a server that is not there has an exit code of its own, and advice', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = urlOf(server);
  await once(server.close(), 'close');
  write('reviews.csv', csvOf(texts));
  const { exitCode, err } = await run(['score', 'reviews.csv', ...SCORE, '--url', url]);
  assert.equal(exitCode, 4);
  assert.match(err, /cannot be reached \(ECONNREFUSED\)\.\n.*npm start/);
});
