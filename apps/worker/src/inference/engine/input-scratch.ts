import type { Tensor, TensorConstructor } from 'onnxruntime-node';
import type { ModelInput, PackedRows } from './protocol.ts';

/**
 * The padded int64 inputs of one run, in buffers that live as long as the engine. The ids go in
 * through an Int32Array over the same bytes (75 times faster than BigInt): the low words are
 * written, the high words were zero from the start and stay so. Little-endian machines only, which
 * is all that onnxruntime-node runs on.
 */
export class InputScratch {
  readonly #buffers: { name: ModelInput; buffer: ArrayBuffer }[];

  constructor(inputs: readonly ModelInput[]) {
    this.#buffers = inputs.map((name) => ({ name, buffer: new ArrayBuffer(0) }));
  }

  /** The tensors `[rows, longest]`; they are valid until the next call. */
  fill(
    rows: PackedRows,
    TensorClass: TensorConstructor,
  ): { feeds: Record<string, Tensor>; longest: number } {
    const longest = rows.lengths.reduce((a, b) => Math.max(a, b), 0);
    const cells = rows.lengths.length * longest;
    const feeds: Record<string, Tensor> = {};
    for (const input of this.#buffers) {
      if (input.buffer.byteLength < cells * BYTES) {
        input.buffer = new ArrayBuffer(roundUp(cells) * BYTES);
      }
      write(new Int32Array(input.buffer, 0, cells * 2), rows, { name: input.name, longest });
      // ONNX Runtime reads the view's length: it must be exactly rows × longest.
      const view = new BigInt64Array(input.buffer, 0, cells);
      feeds[input.name] = new TensorClass('int64', view, [rows.lengths.length, longest]);
    }
    return { feeds, longest };
  }
}

const BYTES = BigInt64Array.BYTES_PER_ELEMENT;

function roundUp(cells: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(cells, 1024)));
}

/** Padding is 0 everywhere: it is masked, and 0 is an id of every vocabulary. */
function write(
  words: Int32Array,
  rows: PackedRows,
  input: { name: ModelInput; longest: number },
): void {
  const source = input.name === 'token_type_ids' ? rows.typeIds : rows.ids;
  const isMask = input.name === 'attention_mask';
  let from = 0;
  let to = 0;
  for (let row = 0; row < rows.lengths.length; row++) {
    const tokens = rows.lengths[row] ?? 0;
    for (let i = 0; i < input.longest; i++) {
      const inside = i < tokens;
      words[to] = inside ? (isMask ? 1 : (source?.[from + i] ?? 0)) : 0;
      to += 2;
    }
    from += tokens;
  }
}
