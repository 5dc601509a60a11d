import { z } from 'zod';
import { AppError } from '../errors.ts';
import type { EmbeddingsManifest } from '../manifests.ts';
import { type Task, TaskOverflow } from './task.ts';

const Parameters = z.strictObject({
  normalize: z
    .boolean()
    .nullable()
    .default(null)
    .describe('Scale every vector to length 1. Default: as the model declares.'),
  dimensions: z
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe('Keep only the first so many numbers (normalised again if normalize holds).'),
  encoding_format: z
    .enum(['float', 'base64'])
    .default('float')
    .describe('A list of numbers, or base64 of little-endian float32.'),
  overflow: TaskOverflow.default('truncate').describe(
    'A row over max_tokens: cut it, fail it, or average over overlapping chunks.',
  ),
});

const Output = z.object({ embedding: z.union([z.array(z.number()), z.string()]) });

export type EmbeddingsParameters = z.infer<typeof Parameters>;

export const embeddings: Task<EmbeddingsManifest, EmbeddingsParameters, z.infer<typeof Output>> = {
  name: 'embeddings',
  parameters: Parameters,
  output: Output,

  check(parameters, manifest) {
    if (parameters.dimensions !== null && parameters.dimensions > manifest.dimensions) {
      throw new AppError('invalid_request', {
        message: `parameters.dimensions is ${parameters.dimensions}, the model has ${manifest.dimensions}`,
        param: 'parameters.dimensions',
      });
    }
    if (parameters.normalize === false && manifest.pooling === 'graph' && manifest.normalize) {
      throw new AppError('invalid_request', {
        message: 'parameters.normalize is false, but the model gives unit vectors only',
        param: 'parameters.normalize',
      });
    }
  },

  pooling: (manifest) => (manifest.pooling === 'graph' ? 'none' : manifest.pooling),

  activate: (raw) => raw,

  decode(activated, parameters, manifest) {
    const cut =
      parameters.dimensions === null ? activated : activated.slice(0, parameters.dimensions);
    const vector = (parameters.normalize ?? manifest.normalize) ? unitLength(cut) : cut;
    return {
      embedding: parameters.encoding_format === 'base64' ? toBase64(vector) : Array.from(vector),
    };
  },

  columns: ({ encoding_format }) => [
    { name: 'embedding', type: encoding_format === 'base64' ? 'string' : 'floats' },
  ],

  cells: ({ embedding }) => [embedding],
};

/** `v / |v|`; a vector that has length 1 within float32 rounding is left bit for bit as it is. */
function unitLength(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const x of vector) squares += x * x;
  const length = Math.sqrt(squares);
  if (length === 0 || Math.abs(length - 1) < 1e-6) return vector;
  return vector.map((x) => x / length);
}

/** Little-endian float32, the byte order that OpenAI clients decode. */
function toBase64(vector: Float32Array): string {
  const bytes = Buffer.allocUnsafe(vector.length * 4);
  for (let i = 0; i < vector.length; i++) bytes.writeFloatLE(vector[i] ?? 0, i * 4);
  return bytes.toString('base64');
}
