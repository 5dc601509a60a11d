/** Between two looks at the clock. */
const STEP = 256;

/** Texts a second of one thread that does nothing but turn them into ids, in turn. */
export function measureTokenizer(
  encode: (text: string) => unknown,
  texts: readonly string[],
  ms: number,
): number {
  const began = performance.now();
  let done = 0;
  let elapsedMs = 0;
  while (elapsedMs < ms) {
    for (let i = 0; i < STEP; i++) encode(texts[(done + i) % texts.length] ?? '');
    done += STEP;
    elapsedMs = performance.now() - began;
  }
  return (done / elapsedMs) * 1000;
}
