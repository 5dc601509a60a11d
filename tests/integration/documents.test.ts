import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { signatureHeaders } from '@headrace/shared/webhook-signature.ts';
import { OPERATING, withConfiguration } from '../../scripts/docs/configuration.ts';
import { newSecret } from '../chaos/harness/signed-callbacks.ts';
import { blocksOf, isAsShown, stepsOf } from '../helpers/document.ts';
import {
  type ApiProcess,
  type ServiceProcess,
  startApi,
  startDispatcher,
  startWorker,
} from '../helpers/processes.ts';
import { Reader } from '../helpers/reader.ts';
import { type Receiver, startReceiver } from '../helpers/receiver.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DOCUMENTS = globSync('{README.md,docs/*.md}', { cwd: ROOT }).toSorted();

let redis: TestRedis;
let receiver: Receiver;
let api: ApiProcess;
let others: ServiceProcess[] = [];
const folder = mkdtempSync(join(tmpdir(), 'headrace-documents-'));
before(async () => {
  redis = await startRedis();
  receiver = await startReceiver();
  const env = {
    REDIS_URL: redis.url,
    HEADRACE_PREFIX: testPrefix(),
    HEADRACE_BLOBS: join(folder, 'blobs'),
    HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
    HEADRACE_WEBHOOK_PORTS: `443,${receiver.port}`,
  };
  api = await startApi({ env });
  others = await Promise.all([
    startWorker({ env: { ...env, HEADRACE_ENGINES: '1', HEADRACE_MODELS: 'sentiment,minilm' } }),
    startDispatcher({ env }),
  ]);
});
after(async () => {
  await Promise.all([api?.stop(), ...others.map((service) => service.stop())]);
  await receiver?.stop();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('what the documents have their reader type', () => {
  for (const path of DOCUMENTS) {
    const blocks = blocksOf(join(ROOT, path));
    const steps = stepsOf(blocks);
    if (steps.length === 0) continue;
    test(`${path} comes to what it shows`, async () => {
      for (const { language, file, text } of blocks) {
        if (file !== null && language !== 'js') writeFileSync(join(folder, file), text);
      }
      const reader = new Reader({ url: api.url, receiver: `127.0.0.1:${receiver.port}`, folder });
      for (const { command, shown } of steps) {
        const { ok, output } = await reader.type(command);
        const refusal = shown?.text.includes('"error":{') ?? false;
        assert.equal(ok, !refusal, `${command}\n${output}`);
        if (shown === null) continue;
        assert.ok(isAsShown(output, shown.text), `${command}\n${output}\nand not\n${shown.text}`);
      }
    });
  }

  test('an example that is shown is the file', () => {
    const shown = DOCUMENTS.flatMap((path) =>
      blocksOf(join(ROOT, path)).filter((block) => block.language === 'js'),
    );
    const files = shown.map(({ file }) => file ?? '');
    assert.deepEqual(files.toSorted(), globSync('examples/*.mjs', { cwd: ROOT }).toSorted());
    for (const { file, text } of shown) {
      assert.equal(text, readFileSync(join(ROOT, file ?? ''), 'utf8'), file ?? '');
    }
  });
});

describe('the examples', () => {
  /** Runs one against the API of this test. @returns what it prints */
  async function run(name: string): Promise<string> {
    const env = { ...process.env, HEADRACE_URL: api.url };
    const path = join(ROOT, 'examples', name);
    return (await promisify(execFile)(process.execPath, [path], { env })).stdout;
  }

  for (const [example, document] of [
    ['quick-start.mjs', 'docs/quick-start.md'],
    ['openai-batch.mjs', 'docs/bulk.md'],
  ] as const) {
    test(`${example} prints what stands below it`, async () => {
      const blocks = blocksOf(join(ROOT, document));
      const at = blocks.findIndex(({ file }) => file === `examples/${example}`);
      const output = await run(example);
      assert.ok(isAsShown(output, blocks[at + 1]?.text ?? ''), output);
    });
  }

  test('webhook-receiver.mjs takes what is signed, and nothing else', async (t) => {
    const secret = newSecret();
    const env = { ...process.env, PORT: '0', WEBHOOK_SECRET: secret };
    const path = join(ROOT, 'examples/webhook-receiver.mjs');
    const child = spawn(process.execPath, [path], { env, stdio: ['ignore', 'pipe', 'inherit'] });
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
});

test('the tables of variables are those of the code', () => {
  const text = readFileSync(OPERATING, 'utf8');
  assert.equal(text, withConfiguration(text));
});
