import { type Manifest, modelRef } from '@headrace/shared/manifests.ts';
import { bindTask } from '@headrace/shared/tasks/index.ts';
import type { NullEngineSpec, OnnxEngineSpec } from './engine/protocol.ts';
import type { VerifiedModel } from './models.ts';
import type { Provider, ProviderSettings } from './providers/provider.ts';

/**
 * What an engine loads for a model whose files were verified.
 * @throws RangeError for a setting that the provider does not take
 */
export function engineSpecOf(
  model: VerifiedModel,
  provider: Provider,
  settings: ProviderSettings,
): OnnxEngineSpec {
  const { manifest } = model.folder;
  return {
    kind: 'onnx',
    model: modelRef(manifest),
    modelPath: model.modelPath,
    inputs: manifest.inputs,
    output: manifest.output,
    width: widthOf(manifest),
    pooling: bindTask(manifest).pooling(),
    sessionOptions: provider.sessionOptions(settings),
    environment: provider.environment,
  };
}

/** An engine that stands for the model in benchmarks: answers of its width, but no inference. */
export function nullEngineSpecOf(manifest: Manifest, cellsPerS: number): NullEngineSpec {
  return { kind: 'null', model: modelRef(manifest), width: widthOf(manifest), cellsPerS };
}

/** Numbers that the engine gives for a row. */
function widthOf(manifest: Manifest): number {
  return manifest.task === 'embeddings' ? manifest.dimensions : manifest.labels.length;
}
