import { delay } from './delay.ts';
import { ConnectionError } from './errors.ts';
import { retryDelayMs } from './retry.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface Range extends CallOptions {
  /** First byte. */
  start?: number | undefined;
  /** Byte after the last one. */
  end?: number | undefined;
}

export interface Content {
  /** Of what is sent: the file, or the range of it. */
  bytes: number;
  stream: ReadableStream<Uint8Array>;
}

const MAX_BREAKS = 4;

/** Opens content that never changes, so that a broken download goes on where it broke. */
export async function openContent(
  transport: Transport,
  path: string,
  range: Range,
): Promise<Content> {
  const download = new Download(transport, path, range);
  const bytes = await download.open();
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const piece = await download.next();
        if (piece === null) controller.close();
        else controller.enqueue(piece);
      },
      cancel: (reason) => download.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return { bytes, stream };
}

class Download {
  readonly #transport: Transport;
  readonly #path: string;
  readonly #range: Range;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #at: number;
  #end: number | undefined;
  #breaks = 0;

  constructor(transport: Transport, path: string, range: Range) {
    this.#transport = transport;
    this.#path = path;
    this.#range = range;
    this.#at = range.start ?? 0;
    this.#end = range.end;
  }

  /** @returns how many bytes are to come */
  async open(): Promise<number> {
    const { start: _, end: __, ...call } = this.#range;
    const whole = this.#at === 0 && this.#end === undefined;
    const last = this.#end === undefined ? '' : this.#end - 1;
    const headers = whole ? {} : { range: `bytes=${this.#at}-${last}` };
    const response = await this.#transport.send({ ...call, path: this.#path, headers });
    const bytes = Number(response.headers.get('content-length'));
    this.#end = this.#at + bytes;
    this.#reader = response.body?.getReader() ?? null;
    return bytes;
  }

  /** @returns null at the end */
  async next(): Promise<Uint8Array | null> {
    for (;;) {
      try {
        const read = await this.#reader?.read();
        if (read !== undefined && !read.done) {
          this.#at += read.value.byteLength;
          this.#breaks = 0;
          return read.value;
        }
        if (this.#end === undefined || this.#at >= this.#end) return null;
        throw new TypeError('the body ended early');
      } catch (cause) {
        await this.#goOn(cause);
      }
    }
  }

  async cancel(reason: unknown): Promise<void> {
    await this.#reader?.cancel(reason);
  }

  async #goOn(cause: unknown): Promise<void> {
    const { signal, maxRetries = MAX_BREAKS } = this.#range;
    signal?.throwIfAborted();
    const message = `The connection broke at byte ${this.#at} of the file.`;
    const error = new ConnectionError(message, { cause, neverSent: false });
    const retries = this.#breaks;
    this.#breaks += 1;
    const delayMs = retryDelayMs({ repeat: 'always', retries, error, random: Math.random() });
    if (retries >= maxRetries || delayMs === null) throw error;
    await delay(delayMs, signal);
    await this.open();
  }
}
