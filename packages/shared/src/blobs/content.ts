import { Readable } from 'node:stream';

interface ContentOptions {
  /** What an error of the source is for a caller. */
  failure: (error: unknown) => Error;
  /** Milliseconds without a byte after which the source is given up; unset: it may take its time. */
  idleMs?: number;
  /** Asked at the end of the source, before its reader hears of it; what it throws fails the read. */
  confirm?: () => Promise<void>;
}

/**
 * The content of a blob as its reader sees it: what fails half-way fails as the beginning would
 * have, and a source that says nothing while somebody waits for it is given up.
 */
export class BlobContent extends Readable {
  readonly #source: Readable;
  readonly #options: ContentOptions;
  #idle: NodeJS.Timeout | null = null;

  constructor(source: Readable, options: ContentOptions) {
    super({ highWaterMark: source.readableHighWaterMark });
    this.#source = source;
    this.#options = options;
    // Whoever reads it hears of an error; until somebody does, it must not end the process.
    this.on('error', () => {});
    source.on('data', (piece: Buffer) => this.#take(piece));
    source.on('end', () => void this.#end());
    source.on('error', (error) => this.destroy(options.failure(error)));
    source.on('close', () => this.#closed());
    source.pause();
  }

  override _read(): void {
    this.#source.resume();
    this.#await();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#rest();
    this.#source.destroy();
    done(error);
  }

  #take(piece: Buffer): void {
    if (this.push(piece)) {
      this.#await();
    } else {
      this.#rest();
      this.#source.pause();
    }
  }

  async #end(): Promise<void> {
    this.#rest();
    try {
      await this.#options.confirm?.();
      this.push(null);
    } catch (error) {
      this.destroy(this.#options.failure(error));
    }
  }

  #closed(): void {
    if (this.#source.readableEnded || this.destroyed) return;
    this.destroy(this.#options.failure(new Error('the content ended too early')));
  }

  #await(): void {
    const { idleMs, failure } = this.#options;
    if (idleMs === undefined || this.#source.readableEnded) return;
    this.#idle?.refresh();
    this.#idle ??= setTimeout(() => {
      this.destroy(failure(new Error(`no byte came for ${idleMs} ms`)));
    }, idleMs);
  }

  #rest(): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
  }
}
