export interface StreamEvent {
  event: string;
  data: string;
}

/** The server-sent events of an answer, until it ends; comments and what has no data are left out. */
export async function* streamEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<StreamEvent, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const blocks = (rest + decoder.decode(next.value, { stream: true })).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const fields = block.split('\n').map((line) => line.split(/: ?(.*)/s, 2));
        const of = (name: string) =>
          fields.flatMap(([n, value = '']) => (n === name ? [value] : []));
        const data = of('data');
        if (data.length > 0) yield { event: of('event')[0] ?? 'message', data: data.join('\n') };
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
