import { z } from 'zod';
import { AppError } from '../errors.ts';
import type { ClassificationManifest } from '../manifests.ts';
import { type Task, TaskOverflow } from './task.ts';

const Parameters = z.strictObject({
  top_k: z
    .int()
    .min(1)
    .max(10_000)
    .nullable()
    .default(null)
    .describe('How many labels to return, best first. Default: 1, or all of a multi-label model.'),
  raw_scores: z
    .boolean()
    .default(false)
    .describe('Return the logits instead of probabilities (softmax, or sigmoid if multi-label).'),
  overflow: TaskOverflow.default('truncate').describe(
    'A row over max_tokens: cut it, fail it, or average over overlapping chunks.',
  ),
});

const Output = z.object({
  labels: z.array(z.object({ label: z.string(), score: z.number() })),
});

export type ClassificationParameters = z.infer<typeof Parameters>;

export const textClassification: Task<
  ClassificationManifest,
  ClassificationParameters,
  z.infer<typeof Output>
> = {
  name: 'text-classification',
  parameters: Parameters,
  output: Output,

  check(parameters, manifest) {
    if (parameters.top_k !== null && parameters.top_k > manifest.labels.length) {
      throw new AppError('invalid_request', {
        message: `parameters.top_k is ${parameters.top_k}, the model has ${manifest.labels.length} labels`,
        param: 'parameters.top_k',
      });
    }
  },

  pooling: () => 'none',

  activate(raw, parameters, manifest) {
    if (parameters.raw_scores) return raw;
    return manifest.multi_label ? raw.map(sigmoid) : softmax(raw);
  },

  decode(activated, parameters, manifest) {
    const ranked = manifest.labels
      .map((label, i) => ({ label, score: activated[i] ?? Number.NaN }))
      .sort((a, b) => b.score - a.score);
    const count = parameters.top_k ?? (manifest.multi_label ? ranked.length : 1);
    return { labels: ranked.slice(0, count) };
  },

  columns(parameters, manifest) {
    if (isSingle(parameters, manifest.multi_label)) {
      return [
        { name: 'label', type: 'string' },
        { name: 'score', type: 'double' },
      ];
    }
    return [{ name: 'labels', type: 'json' }];
  },

  cells({ labels }, parameters, manifest) {
    if (!isSingle(parameters, manifest.multi_label)) return [labels];
    const [best] = labels;
    return [best?.label ?? null, best?.score ?? null];
  },
};

/** One label is two plain columns; several are a list. */
function isSingle({ top_k }: ClassificationParameters, multiLabel: boolean): boolean {
  return top_k === 1 || (top_k === null && !multiLabel);
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** Softmax with the maximum taken out first, so that large logits do not overflow. */
function softmax(logits: Float32Array): Float32Array {
  const max = Math.max(...logits);
  const exps = logits.map((x) => Math.exp(x - max));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((x) => x / sum);
}
