import { AppError } from './errors.ts';
import { type Manifest, type ModelFolder, modelRef } from './manifests.ts';
import { bulkQueueName, inferQueueName } from './queues.ts';
import { type BoundTask, bindTask } from './tasks/index.ts';

/** A model version that jobs may name. */
export interface ServedModel {
  ref: string;
  queue: string;
  /** Of the chunks of its batches. */
  bulkQueue: string;
  manifest: Manifest;
  task: BoundTask;
}

export interface ModelCatalogue {
  /** Every version of every model. */
  all: ServedModel[];
  /** The newest version of each name. */
  latest: ServedModel[];
  /**
   * `name@version`, or `name` for its newest version; null for the default model.
   * @throws AppError `model_not_found`
   */
  resolve(name: string | null): ServedModel;
  /** As `resolve`, but null for what is unknown. */
  find(name: string): ServedModel | null;
  /** All versions of a name, newest first; empty when there are none. */
  versions(name: string): ServedModel[];
  /** Queues of all models, in the order of `all`. */
  queues: string[];
}

export function createModelCatalogue(folders: ModelFolder[], defaultName: string): ModelCatalogue {
  const all = folders.map(({ manifest }) => ({
    ref: modelRef(manifest),
    queue: inferQueueName(modelRef(manifest)),
    bulkQueue: bulkQueueName(modelRef(manifest)),
    manifest,
    task: bindTask(manifest),
  }));
  const byRef = new Map(all.map((model) => [model.ref, model]));
  const versions = (name: string) =>
    all
      .filter((model) => model.manifest.name === name)
      .sort((a, b) => compareVersions(b.manifest.version, a.manifest.version));
  const latest = [...new Set(all.map((model) => model.manifest.name))].flatMap((name) =>
    versions(name).slice(0, 1),
  );
  const byName = new Map(latest.map((model) => [model.manifest.name, model]));

  const find = (name: string) => byRef.get(name) ?? byName.get(name) ?? null;

  return {
    all,
    latest,
    versions,
    queues: all.map((model) => model.queue),
    find,
    resolve(name) {
      const model = find(name ?? defaultName);
      if (model) return model;
      throw new AppError('model_not_found', {
        message: `No such model or version; known are ${all.map((m) => m.ref).join(', ') || 'none'}.`,
        param: 'model',
      });
    },
  };
}

function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
