import { AppError } from '../errors.ts';
import type { ModelCatalogue, ServedModel } from '../model-catalogue.ts';

/**
 * What the lines of a batch may name: any model, until one is settled; from then on that one, in
 * any spelling.
 * @throws AppError `model_not_found` or `invalid_request`, with `body.model`
 */
export function oneModel(
  models: ModelCatalogue,
  settled: () => string | null,
): (name: string) => ServedModel {
  return (name) => {
    const model = models.find(name);
    const param = 'body.model';
    if (model === null) {
      throw new AppError('model_not_found', { message: `${param}: no such model`, param });
    }
    const ref = settled();
    if (ref === null || model.ref === ref) return model;
    const message = `${param}: is ${model.ref}, but the batch is for ${ref}`;
    throw new AppError('invalid_request', { message, param });
  };
}
