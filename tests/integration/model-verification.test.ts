import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { ModelFolder } from '@headrace/shared/manifests.ts';
import { warmUp } from '../../apps/worker/src/inference/engine/warm-up.ts';
import { engineSpecOf } from '../../apps/worker/src/inference/engine-spec.ts';
import { ModelProblem, verifyModel } from '../../apps/worker/src/inference/models.ts';
import { PROVIDERS } from '../../apps/worker/src/inference/providers/index.ts';
import { BROKEN_MODELS, modelFolder, startPool, TINY_MODELS } from '../helpers/engines.ts';

const TOKEN_BUDGET = 256;

async function brokenModel(name: string): Promise<ModelFolder> {
  return await modelFolder(BROKEN_MODELS, name);
}

/** A copy of a tiny model that the test may damage. */
async function copyOf(t: TestContext, name: string): Promise<ModelFolder> {
  const root = await mkdtemp(join(tmpdir(), 'headrace-'));
  t.after(() => rm(root, { recursive: true }));
  await cp(join(TINY_MODELS, name), join(root, name), { recursive: true });
  return await modelFolder(root, name);
}

async function assertRefused(folder: ModelFolder, expected: RegExp): Promise<void> {
  await assert.rejects(verifyModel(folder, 'fp32'), (error) => {
    assert.ok(error instanceof ModelProblem);
    assert.match(error.message, expected);
    return true;
  });
}

describe('verifying a model folder', () => {
  test('accepts one that is what its manifest says', async () => {
    const folder = await modelFolder(TINY_MODELS, 'tiny-classifier');
    const verified = await verifyModel(folder, 'fp32');
    assert.equal(verified.modelPath, join(folder.dir, 'model.onnx'));
  });

  test('names the graph whose sha256 is another', async () => {
    const expected = /^wrong-sha@1: model\.onnx: has sha256 \w{64}, model\.json says \w{64}$/;
    await assertRefused(await brokenModel('wrong-sha'), expected);
  });

  test('names a file that is missing', async () => {
    const expected = /^missing-file@1: model\.onnx: the file is missing$/;
    await assertRefused(await brokenModel('missing-file'), expected);
  });

  test('refuses a path that leaves the folder, though its file is right', async () => {
    const expected = /^escaping@1: \.\.\/.*: the path leaves the model folder$/;
    await assertRefused(await brokenModel('escaping'), expected);
  });

  test('refuses a link that leaves the folder, though its file is right', async (t) => {
    const folder = await copyOf(t, 'tiny-classifier');
    const graph = join(folder.dir, 'model.onnx');
    const outside = join(folder.dir, '../../outside.onnx');
    await rename(graph, outside);
    await symlink(outside, graph);
    const expected = /model\.onnx: the path is a link out of the model folder$/;
    await assertRefused(folder, expected);
  });

  test('accepts a link within the folder', async (t) => {
    const folder = await copyOf(t, 'tiny-classifier');
    const graph = join(folder.dir, 'model.onnx');
    await rename(graph, join(folder.dir, 'blob.onnx'));
    await symlink('blob.onnx', graph);
    assert.match((await verifyModel(folder, 'fp32')).modelPath, /blob\.onnx$/);
  });

  test('refuses a tokenizer of another size', async (t) => {
    const folder = await copyOf(t, 'tiny-classifier');
    await writeFile(join(folder.dir, 'tokenizer.json'), '{}');
    const expected = /tokenizer\.json: has 2 bytes, model\.json says \d+$/;
    await assertRefused(folder, expected);
  });

  test('refuses a graph that keeps weights in another file', async () => {
    const expected = /^external-data@1: model\.onnx: keeps weights outside of itself/;
    await assertRefused(await brokenModel('external-data'), expected);
  });

  test('refuses a graph that is none', async () => {
    const expected = /^broken-graph@1: model\.onnx: is not a readable ONNX graph/;
    await assertRefused(await brokenModel('broken-graph'), expected);
  });

  test('refuses a variant that the manifest does not have', async () => {
    const folder = await modelFolder(TINY_MODELS, 'tiny-classifier');
    await assert.rejects(verifyModel(folder, 'int4'), /has no variant int4, only fp32$/);
  });
});

/** As it is installed, the binding has no CUDA; whoever has put it there needs no such error. */
const BINDING = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
const CUDA = join(BINDING, '../bin/napi-v6/linux/x64/libonnxruntime_providers_shared.so');
const NEEDS_NO_CUDA =
  process.platform === 'linux' && process.arch === 'x64' && !existsSync(CUDA)
    ? false
    : 'CUDA is there, or cannot be';

describe('loading a model', () => {
  test('fails with the reason of ONNX Runtime where the graph cannot be read', async (t) => {
    const folder = await modelFolder(TINY_MODELS, 'tiny-classifier');
    const { modelPath } = await verifyModel(await brokenModel('wrong-golden'), 'fp32');
    const spec = {
      kind: 'onnx' as const,
      model: 'broken-graph@1',
      modelPath: modelPath.replace('wrong-golden', 'broken-graph'),
      inputs: folder.manifest.inputs,
      output: folder.manifest.output,
      width: 3,
      pooling: 'none' as const,
      sessionOptions: {},
      environment: {},
    };
    const starting = startPool(t, folder, { spec, engines: 2 });
    await assert.rejects(starting, /^Error: broken-graph@1: .*protobuf/i);
  });

  test('fails where the graph has no such output', async (t) => {
    const folder = await modelFolder(TINY_MODELS, 'tiny-classifier');
    const other = { ...folder, manifest: { ...folder.manifest, output: 'scores' } };
    await assert.rejects(startPool(t, other), /tiny-classifier@1: the graph has no output scores/);
  });

  test('fails where the graph wants another input', async (t) => {
    const folder = await modelFolder(TINY_MODELS, 'tiny-pairs');
    const inputs = ['input_ids' as const, 'attention_mask' as const];
    const other = { ...folder, manifest: { ...folder.manifest, inputs } };
    await assert.rejects(startPool(t, other), /the graph wants token_type_ids/);
  });

  test('names the library that a GPU would need', { skip: NEEDS_NO_CUDA }, async (t) => {
    const folder = await modelFolder(TINY_MODELS, 'tiny-classifier');
    const model = await verifyModel(folder, folder.manifest.default_variant);
    const spec = engineSpecOf(model, PROVIDERS.cuda, { threads: 1, deviceId: 0 });
    await assert.rejects(startPool(t, folder, { spec }), /libonnxruntime_providers_shared\.so/);
  });
});

describe('warming up', () => {
  for (const name of ['tiny-classifier', 'tiny-multilabel', 'tiny-embedder', 'tiny-hidden']) {
    test(`finds the golden rows of ${name} right on both engines`, async (t) => {
      const folder = await modelFolder(TINY_MODELS, name);
      const { pool, encode } = await startPool(t, folder, { engines: 2 });
      const model = await verifyModel(folder, 'fp32');
      const warm = await warmUp(pool, model, {
        tokenBudget: TOKEN_BUDGET,
        encode: async (text) => encode(text).ids,
      });
      assert.ok(warm.largestMs > 0 && warm.tokensPerSecond > 0);
      assert.equal(pool.freeSlots, 4);
    });
  }

  test('gives pairs the type ids that their golden outputs were made with', async (t) => {
    const folder = await modelFolder(TINY_MODELS, 'tiny-pairs');
    const { pool } = await startPool(t, folder);
    const model = await verifyModel(folder, 'fp32');
    const warm = await warmUp(pool, model, { tokenBudget: TOKEN_BUDGET });
    assert.ok(warm.largestMs > 0);
  });

  test('names the golden row whose output is another', async (t) => {
    const folder = await brokenModel('wrong-golden');
    const { pool } = await startPool(t, folder);
    const model = await verifyModel(folder, 'fp32');
    const expected = {
      name: 'ModelProblem',
      message:
        /^wrong-golden@1: model\.onnx: golden row 0: number 0 is -0\.5\d+, expected 9 ± 0\.001$/,
    };
    await assert.rejects(warmUp(pool, model, { tokenBudget: TOKEN_BUDGET }), expected);
  });

  test('names the golden row that the tokenizer cuts otherwise', async (t) => {
    const folder = await modelFolder(TINY_MODELS, 'tiny-classifier');
    const { pool, encode } = await startPool(t, folder);
    const model = await verifyModel(folder, 'fp32');
    const options = {
      tokenBudget: TOKEN_BUDGET,
      encode: async (text: string) => encode(text).ids.subarray(0, 4),
    };
    await assert.rejects(warmUp(pool, model, options), {
      name: 'ModelProblem',
      message:
        /^tiny-classifier@1: tokenizer\.json: golden row 0: token 4 is missing, expected \d+$/,
    });
  });

  test('does not compare the zeros of a null engine', async (t) => {
    const folder = await brokenModel('wrong-golden');
    const spec = { kind: 'null', model: 'null@1', width: 3, cellsPerS: 0 } as const;
    const { pool } = await startPool(t, folder, { spec });
    const model = await verifyModel(folder, 'fp32');
    const warm = await warmUp(pool, model, { tokenBudget: TOKEN_BUDGET });
    assert.ok(Number.isFinite(warm.tokensPerSecond));
  });
});
