import type { Column } from '../bulk/table.ts';
import type { Manifest } from '../manifests.ts';
import { embeddings } from './embeddings.ts';
import type { Task, TaskParameters } from './task.ts';
import { textClassification } from './text-classification.ts';

/** Every task, by the name that manifests and jobs carry. */
export const TASKS = {
  'text-classification': textClassification,
  embeddings,
} as const;

export type TaskName = keyof typeof TASKS;
export const TASK_NAMES = Object.keys(TASKS) as TaskName[];

/** One model's task with the manifest bound, so that callers need not know which task it is. */
export interface BoundTask {
  readonly name: TaskName;
  /** @throws ZodError for a wrong shape, AppError `invalid_request` for a model's own limit */
  parse(parameters: unknown): TaskParameters;
  pooling(): 'none' | 'mean' | 'cls' | 'max';
  activate(raw: Float32Array, parameters: TaskParameters): Float32Array;
  decode(activated: Float32Array, parameters: TaskParameters): Record<string, unknown>;
  columns(parameters: TaskParameters): Column[];
  /** @param output what `decode` gave, or a stored answer of this task */
  cells(output: Record<string, unknown>, parameters: TaskParameters): unknown[];
}

export function bindTask(manifest: Manifest): BoundTask {
  switch (manifest.task) {
    case 'text-classification':
      return bind(textClassification, manifest);
    case 'embeddings':
      return bind(embeddings, manifest);
  }
}

function bind<M extends Manifest, P extends TaskParameters, O extends Record<string, unknown>>(
  task: Task<M, P, O>,
  manifest: M,
): BoundTask {
  // `parse` is the only way to a TaskParameters of this task: jobs carry what it returned.
  return {
    name: task.name,
    parse(input) {
      const parameters = task.parameters.parse(input);
      task.check(parameters, manifest);
      return parameters;
    },
    pooling: () => task.pooling(manifest),
    activate: (raw, parameters) => task.activate(raw, parameters as P, manifest),
    decode: (activated, parameters) => task.decode(activated, parameters as P, manifest),
    columns: (parameters) => task.columns(parameters as P, manifest),
    cells: (output, parameters) => task.cells(output as O, parameters as P, manifest),
  };
}
