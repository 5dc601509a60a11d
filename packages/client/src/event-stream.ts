import { pieces } from './byte-stream.ts';
import { ConnectionError, errorIn, HeadraceError } from './errors.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface StreamEvent {
  event: string;
  data: string;
}

/** The server says something every 15 s, be it only that it is there. */
const SILENT_MS = 45_000;

/**
 * The server-sent events of one answer, until it ends; comments and what has no data are left out.
 * @throws HeadraceError, also for an error that comes as an event; ConnectionError when it breaks or
 * nothing comes any more; the signal's reason
 */
export async function* openEvents(
  transport: Transport,
  { path, signal }: CallOptions & { path: string },
): AsyncGenerator<StreamEvent, void> {
  const ended = new AbortController();
  const both = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]);
  const response = await transport.send({ path, signal: both, maxRetries: 0 });
  if (response.body === null) return;
  try {
    for await (const event of eventsOf(texts(response.body, ended))) {
      if (event.event === 'error') throw errorIn(event.data, response);
      yield event;
    }
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof HeadraceError) throw cause;
    throw new ConnectionError('The stream of events broke.', { cause, neverSent: false });
  } finally {
    ended.abort();
  }
}

/** Ends the request when nothing comes for too long; the time that the reader takes is its own. */
async function* texts(body: ReadableStream<Uint8Array>, ended: AbortController) {
  const decoder = new TextDecoder();
  const source = pieces(body);
  try {
    for (;;) {
      const timer = setTimeout(() => ended.abort(), SILENT_MS);
      const next = await source.next().finally(() => clearTimeout(timer));
      if (next.done) return;
      yield decoder.decode(next.value, { stream: true });
    }
  } finally {
    await source.return(undefined).catch(() => undefined);
  }
}

async function* eventsOf(read: AsyncIterable<string>): AsyncGenerator<StreamEvent, void> {
  let rest = '';
  for await (const text of read) {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const of = (name: string) =>
        block.split('\n').flatMap((line) => {
          const [, field, value = ''] = /^([^:]+):? ?(.*)$/s.exec(line) ?? [];
          return field === name ? [value] : [];
        });
      const data = of('data');
      if (data.length > 0) yield { event: of('event')[0] ?? 'message', data: data.join('\n') };
    }
  }
}
