import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DockerSteps, onnxLibraries } from '../helpers/dockerfile.ts';
import {
  type ServiceProcess,
  startApi,
  startDispatcher,
  startWorker,
} from '../helpers/processes.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

/** Their steps install programs of the system, and remove npm: here the machine's are used. */
const SYSTEM = ['tini', 'runtime', 'cuda-provider'];
const TARGETS = ['api', 'dispatcher', 'worker-cpu'];

const steps = new DockerSteps(SYSTEM);
const blobs = mkdtempSync(join(tmpdir(), 'headrace-image-blobs-'));
let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(async () => {
  await redis.stop();
  steps.remove();
  rmSync(blobs, { recursive: true });
});

describe('what the images hold', () => {
  test('is enough to answer, each process by its own files', async (t) => {
    const [api = '', dispatcher = '', worker = ''] = await Promise.all(
      TARGETS.map((target) => steps.build(target)),
    );
    const env = { REDIS_URL: redis.url, HEADRACE_PREFIX: testPrefix(), HEADRACE_BLOBS: blobs };
    const started: ServiceProcess[] = [];
    t.after(() => Promise.all(started.map((service) => service.stop())));
    const server = await startApi({ env, folder: join(api, 'app') });
    started.push(server, await startDispatcher({ env, folder: join(dispatcher, 'app') }));
    started.push(
      await startWorker({
        env: { ...env, HEADRACE_ENGINES: '1', HEADRACE_MODELS: 'sentiment' },
        folder: join(worker, 'app'),
      }),
    );
    const response = await fetch(`${server.url}/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text: 'Absolutely love this jacket, it fits perfectly.' }),
    });
    assert.match(await response.text(), /"label":"positive"/);
    for (const service of started) assert.equal((await service.stop()).code, 0);
  });

  test('is no more than each needs', async () => {
    const [api = '', dispatcher = '', worker = ''] = await Promise.all(
      TARGETS.map((target) => steps.build(target)),
    );
    assert.deepEqual(onnxLibraries(worker), [`linux/${process.arch}`]);
    for (const root of [api, dispatcher]) {
      assert.ok(!existsSync(join(root, 'app/node_modules/onnxruntime-node')));
      const files = readdirSync(join(root, 'app/models/sentiment/1')).sort();
      assert.deepEqual(files, ['README.md', 'model.json']);
    }
    for (const root of [api, dispatcher, worker]) {
      assert.ok(!existsSync(join(root, 'app/node_modules/typescript')));
      assert.ok(!existsSync(join(root, 'app/tests')));
    }
  });
});
