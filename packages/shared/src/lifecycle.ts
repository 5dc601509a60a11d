type Undo = () => Promise<unknown> | unknown;

/**
 * What a process has acquired, and how to give it back: in reverse order, all of it, whatever fails
 * on the way, under one deadline.
 */
export class Lifecycle {
  readonly #undos: { name: string; undo: Undo }[] = [];
  readonly #onError: (name: string, error: unknown) => void;
  #stopping: Promise<boolean> | null = null;

  constructor(onError: (name: string, error: unknown) => void) {
    this.#onError = onError;
  }

  /** Registers how to release something that has just been acquired. */
  push(name: string, undo: Undo): void {
    this.#undos.push({ name, undo });
  }

  /** @returns false when the deadline passed before everything was released */
  stop(deadlineMs: number): Promise<boolean> {
    this.#stopping ??= this.#stop(deadlineMs);
    return this.#stopping;
  }

  async #stop(deadlineMs: number): Promise<boolean> {
    const { promise: timeout, resolve } = Promise.withResolvers<false>();
    const timer = setTimeout(() => resolve(false), deadlineMs);
    const released = this.#releaseAll().then(() => true as const);
    const clean = await Promise.race([released, timeout]);
    clearTimeout(timer);
    return clean;
  }

  async #releaseAll(): Promise<void> {
    for (const { name, undo } of this.#undos.reverse()) {
      try {
        await undo();
      } catch (error) {
        this.#onError(name, error);
      }
    }
  }
}
