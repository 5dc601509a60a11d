import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import type { ModelFolder } from '@headrace/shared/manifests.ts';
import type { Document } from './documents.ts';

/** What every part of the benchmark gets. */
export interface BenchContext {
  documents: readonly Document[];
  models: readonly ModelFolder[];
  /** Fewer and shorter rounds, to see that everything works; figures mean little then. */
  quick: boolean;
  /** Says what is going on. */
  say: (line: string) => void;
  /** Whatever a part starts; it is stopped after the part, also when it failed. */
  lifecycle: Lifecycle;
}

/** A measured number: the median of its rounds. */
export interface Figure {
  /** Stable, with dots, such as `ratios.http_minilm`. */
  name: string;
  value: number;
  unit: string;
  rounds: number[];
}

/** Measures something. No figures: it could not, and has said why. */
export type Part = (context: BenchContext) => Promise<Figure[]>;

/** The bundled model that the parts without inference submit to. */
export function defaultModel(models: readonly ModelFolder[]): ModelFolder {
  const model = findModel(models, 'sentiment') ?? models[0];
  if (model === undefined) throw new Error('there is no model at all');
  return model;
}

export function findModel(models: readonly ModelFolder[], name: string): ModelFolder | undefined {
  return models.find(({ manifest }) => manifest.name === name);
}
