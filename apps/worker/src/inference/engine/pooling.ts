export interface HiddenStates {
  /** `[rows, longest, width]`, flat. */
  values: Float32Array;
  /** `[rows]` tokens of each row; what follows them is padding and never counts. */
  lengths: Int32Array;
  longest: number;
  width: number;
}

/**
 * Reduces the vectors of a row's tokens to one vector: `[rows, longest, width]` → `[rows × width]`.
 * A row without tokens gives zeros.
 */
export function pool(hidden: HiddenStates, how: 'mean' | 'cls' | 'max'): Float32Array {
  const { lengths, longest, width } = hidden;
  const pooled = new Float32Array(lengths.length * width);
  for (let row = 0; row < lengths.length; row++) {
    const tokens = lengths[row] ?? 0;
    if (tokens === 0) continue;
    const start = row * longest * width;
    const states = hidden.values.subarray(start, start + tokens * width);
    const target = pooled.subarray(row * width, (row + 1) * width);
    REDUCERS[how](states, target);
  }
  return pooled;
}

type Reducer = (states: Float32Array, target: Float32Array) => void;

/** Each takes one row's `[tokens × width]` and fills `[width]`. */
const REDUCERS: Record<'mean' | 'cls' | 'max', Reducer> = { mean, cls, max };

function mean(states: Float32Array, target: Float32Array): void {
  const width = target.length;
  const tokens = states.length / width;
  for (let i = 0; i < width; i++) {
    // A double holds the sum: float32 would lose digits over long rows.
    let sum = 0;
    for (let at = i; at < states.length; at += width) sum += states[at] ?? 0;
    target[i] = sum / tokens;
  }
}

function cls(states: Float32Array, target: Float32Array): void {
  target.set(states.subarray(0, target.length));
}

function max(states: Float32Array, target: Float32Array): void {
  const width = target.length;
  cls(states, target);
  for (let at = width; at < states.length; at++) {
    const i = at % width;
    // Math.max keeps a NaN, a comparison would hide it.
    target[i] = Math.max(target[i] ?? 0, states[at] ?? 0);
  }
}
