import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { JobSchema } from '@headrace/shared/jobs.ts';
import { signatureHeaders } from '@headrace/shared/webhook-signature.ts';
import { z } from 'zod';
import { withConfiguration } from '../../scripts/docs/readme-config.ts';
import { newSecret } from '../chaos/harness/signed-callbacks.ts';
import { startCli } from '../helpers/cli.ts';
import {
  type ApiProcess,
  type ServiceProcess,
  startApi,
  startDispatcher,
  startWorker,
} from '../helpers/processes.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

let redis: TestRedis;
let api: ApiProcess;
let others: ServiceProcess[] = [];
const folder = mkdtempSync(join(tmpdir(), 'headrace-readme-'));
before(async () => {
  redis = await startRedis();
  const env = {
    REDIS_URL: redis.url,
    HEADRACE_PREFIX: testPrefix(),
    HEADRACE_BLOBS: join(folder, 'blobs'),
  };
  api = await startApi({ env });
  others = await Promise.all([
    startWorker({ env: { ...env, HEADRACE_ENGINES: '1', HEADRACE_MODELS: 'sentiment,minilm' } }),
    startDispatcher({ env }),
  ]);
});
after(async () => {
  await Promise.all([api?.stop(), ...others.map((service) => service.stop())]);
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The curl commands of the README in order, each on one line. */
const commands = [...readme.matchAll(/```sh\n(curl[\s\S]*?)```/g)].map(([, command = '']) =>
  command.replaceAll('\\\n', ' ').trim(),
);

/** Does what the command says, against the API of this test. */
async function curl(command: string, jobId = ''): Promise<{ status: number; json: unknown }> {
  const path = /http:\/\/127\.0\.0\.1:8000([^\s']*)/.exec(command)?.[1]?.replace('job_…', jobId);
  const body = / -d '([^']*)'/.exec(command)?.[1];
  const headers = [...command.matchAll(/ -H '([^:]+): ([^']*)'/g)].map(
    ([, name = '', value = '']): [string, string] => [name, value],
  );
  const response = await fetch(`${api.url}${path}`, {
    headers,
    ...(body === undefined ? {} : { method: 'POST', body }),
  });
  return { status: response.status, json: await response.json() };
}

function command(index: number): string {
  const found = commands[index];
  assert.ok(found, `the README has ${commands.length} curl commands`);
  return found;
}

describe('what the README shows', () => {
  test('the first curl has the answer that stands below it', async () => {
    const shown = /```json\n(\{"label".*\})\n```/.exec(readme)?.[1] ?? '';
    const { json } = await curl(command(0));
    const Answer = z.object({ label: z.string(), score: z.number() });
    // The last digits may differ on another kind of processor.
    const rounded = (answer: unknown) => {
      const { label, score } = Answer.parse(answer);
      return { label, score: score.toFixed(5) };
    };
    assert.deepEqual(rounded(json), rounded(JSON.parse(shown)));
  });

  test('a job is submitted and polled', async () => {
    const submitted = await curl(command(1));
    assert.equal(submitted.status, 202);
    const polled = await curl(command(2), JobSchema.parse(submitted.json).id);
    const job = JobSchema.parse(polled.json);
    assert.deepEqual(
      job.output?.map((row) => row.labels?.[0]?.label),
      ['negative', 'neutral'],
    );
  });

  test('minilm gives 384 numbers', async () => {
    const job = JobSchema.parse((await curl(command(3))).json);
    assert.equal(job.output?.[0]?.embedding?.length, 384);
  });

  test('a job that calls back is taken', async () => {
    assert.equal((await curl(command(4))).status, 202);
  });

  test('the receiver of callbacks is the example, and takes what is signed', async (t) => {
    const [, code] = /receiver\.mjs\):\n\n```js\n([\s\S]*?)```/.exec(readme) ?? [];
    const example = join(ROOT, 'examples/webhook-receiver.mjs');
    assert.equal(code, readFileSync(example, 'utf8'));
    const secret = newSecret();
    const env = { ...process.env, PORT: '0', WEBHOOK_SECRET: secret };
    const child = spawn(process.execPath, [example], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill());
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => String((await lines.next()).value);
    const url = `http://127.0.0.1:${(await next()).replace('port ', '')}`;
    const body = '{"type":"job.succeeded","timestamp":"t","data":{"id":"job_1"}}';
    const timestampS = Math.floor(Date.now() / 1000);
    const headers = signatureHeaders([secret], { id: 'msg_1', timestampS, body });
    const post = (text: string) => fetch(url, { method: 'POST', headers, body: text });
    assert.equal((await post(`${body} `)).status, 400);
    assert.equal((await post(body)).status, 204);
    assert.equal(await next(), 'job.succeeded job_1');
  });

  test("a batch through OpenAI's client is the example, and prints what stands below it", async () => {
    const [, code, shown] =
      /batch\.mjs\):\n\n```js\n([\s\S]*?)```[\s\S]*?```text\n([\s\S]*?)```/.exec(readme) ?? [];
    const example = join(ROOT, 'examples/openai-batch.mjs');
    assert.equal(code, readFileSync(example, 'utf8'));
    const env = { ...process.env, HEADRACE_URL: api.url };
    const { stdout } = await promisify(execFile)(process.execPath, [example], { env });
    const rounded = (text = '') => text.replaceAll(/0\.\d+/g, (score) => Number(score).toFixed(5));
    assert.equal(rounded(stdout), rounded(shown));
  });

  test('a file is scored as it is shown', async () => {
    const [input = '', output = ''] = [...readme.matchAll(/```csv\n([\s\S]*?)```/g)].map(
      ([, text]) => text,
    );
    const shown = /^npx headrace (score .*)\n```\n\n```\n([\s\S]*?)```$/m.exec(readme);
    const [, args = '', printed = ''] = shown ?? [];
    writeFileSync(join(folder, 'reviews.csv'), input);
    const env = { HEADRACE_URL: api.url };
    const cli = startCli(args.split(' '), { cwd: folder, env });
    assert.equal(await cli.exitCode, 0, cli.stderr());
    const plain = (text: string) => text.replace(/batch_\w+|batch_…/, '').replace(/ in .* s /, '');
    assert.equal(plain(cli.stderr()), plain(printed));
    const rounded = (csv: string) => csv.replace(/0\.\d+/g, (score) => Number(score).toFixed(5));
    assert.equal(rounded(readFileSync(join(folder, 'scored.csv'), 'utf8')), rounded(output));
  });

  test('its table of variables is that of the code', () => {
    assert.equal(readme, withConfiguration(readme));
  });
});
