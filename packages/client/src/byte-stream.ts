/** Bytes that come piece by piece: a stream of Node or of the web, or anything like one. */
export type ByteSource = AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>;

/**
 * A stream of the web that takes the next piece only when it is asked for one. After `ended` it
 * takes none, since Node reads the body of a request that was given up to its end.
 */
export function readableStream(
  pieces: AsyncIterable<Uint8Array>,
  ended?: AbortSignal,
): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (ended?.aborted) {
          await iterator.return?.();
          throw ended.reason;
        }
        const next = await iterator.next();
        if (next.done) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    // The source has a buffer of its own.
    { highWaterMark: 0 },
  );
}

/** Iterates over any source; not every browser can iterate over a stream of the web. */
export async function* pieces(source: ByteSource): AsyncGenerator<Uint8Array> {
  if (!(source instanceof ReadableStream)) {
    yield* source;
    return;
  }
  const reader = source.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel();
  }
}
