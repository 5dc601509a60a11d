import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { JobSchema } from '@headrace/shared/jobs.ts';
import { z } from 'zod';
import { withConfiguration } from '../../scripts/docs/readme-config.ts';
import { startCli } from '../helpers/cli.ts';
import {
  type ApiProcess,
  type ServiceProcess,
  startApi,
  startDispatcher,
  startWorker,
} from '../helpers/processes.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');

let redis: TestRedis;
let api: ApiProcess;
let worker: ServiceProcess;
let dispatcher: ServiceProcess;
let folder: string;
before(async () => {
  redis = await startRedis();
  folder = mkdtempSync(join(tmpdir(), 'headrace-readme-'));
  const files = { HEADRACE_BLOBS: join(folder, 'blobs') };
  const env = { REDIS_URL: redis.url, HEADRACE_PREFIX: testPrefix(), ...files };
  api = await startApi({ env });
  dispatcher = await startDispatcher({ env });
  worker = await startWorker({
    env: { ...env, HEADRACE_ENGINES: '1', HEADRACE_MODELS: 'sentiment,minilm' },
  });
});
after(async () => {
  await Promise.all([api?.stop(), worker?.stop(), dispatcher?.stop()]);
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
