import type { EmbeddingsRequest, EmbeddingsResponse } from './api-types.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface Embeddings {
  /** `name@version` */
  model: string;
  /** One for each text, in order. */
  vectors: Float32Array[];
  /** Of each text: whether it had more tokens than the model takes. */
  truncated: boolean[];
  tokens: number;
}

/** With `encoding_format: 'base64'`; a row that fails fails the whole request. */
type EmbeddingsAnswer = Omit<EmbeddingsResponse, 'data'> & {
  data: { embedding: string; truncated: boolean }[];
};

/** The server waits for the result for so long, and then answers 504. */
const TIMEOUT_MS = 90_000;

/** Texts to vectors in one request; repeating it costs inference and changes nothing. */
export function createEmbed(transport: Transport) {
  return async (request: EmbeddingsRequest, call: CallOptions = {}): Promise<Embeddings> => {
    const { data, model, usage } = await transport.json<EmbeddingsAnswer>({
      ...call,
      method: 'POST',
      path: '/v1/embeddings',
      // A third of the bytes that numbers take as text.
      json: { ...request, encoding_format: 'base64' },
      repeat: 'always',
      timeoutMs: TIMEOUT_MS,
    });
    return {
      model,
      vectors: data.map(({ embedding }) => vectorOf(embedding)),
      truncated: data.map(({ truncated }) => truncated),
      tokens: usage.prompt_tokens,
    };
  };
}

/** @param base64 of little-endian float32 */
function vectorOf(base64: string): Float32Array {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
