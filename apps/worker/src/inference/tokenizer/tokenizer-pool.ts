import { AppError } from '@headrace/shared/errors.ts';
import type { Logger } from '@headrace/shared/logger.ts';
import type { RowInput } from '@headrace/shared/queues.ts';
import type { Overflow } from '@headrace/shared/tasks/task.ts';
import { createTick } from '@headrace/shared/tick.ts';
import type { TokenizedRow } from '../encoding.ts';
import { LoadedTokenizers } from './loaded-tokenizers.ts';
import { GroupRow, RowGroup } from './row-group.ts';
import { type PendingRow, type ThreadDeath, ThreadHandle } from './thread-handle.ts';
import type { TokenizerSpec } from './thread-protocol.ts';
import { readableCharacters } from './truncate.ts';

export interface TokenizerPoolOptions {
  threads: number;
  log?: Logger;
  /** A thread that needs more is ended and replaced; a row that did it twice fails. */
  maxHeapMb?: number;
  /** A turn with no more characters than this is tokenized at once, in the caller's thread. */
  inlineCharacters?: number;
  /** What a thread runs; tests give one that can be made to crash. */
  entry?: URL;
}

const ENTRY = new URL('./tokenizer-thread.ts', import.meta.url);
const DEFAULT_HEAP_MB = 1024;
/**
 * A message to a thread and back costs more than so short a text does, in time and in processor;
 * the worst text of this length takes about 2 ms.
 */
const INLINE_CHARACTERS = 2_048;
/** Bounds of one message, so that a row never waits long behind its neighbours. */
const MESSAGE_ROWS = 64;
const GROUP_MESSAGE_ROWS = 256;
const MESSAGE_CHARACTERS = 32_768;
/** Replacements in a row that did not come up before a thread is given up. */
const START_ATTEMPTS = 3;

/**
 * Tokenizer threads that share one queue; what is short is not worth a thread. The rows of one
 * event-loop turn go out together, in as few messages as their bounds allow, to the thread that has
 * least to do. Rows wait in the pool and not in a thread, so a long document holds up nothing while
 * another thread is free.
 */
export class TokenizerPool {
  readonly #options: TokenizerPoolOptions;
  readonly #models = new Map<string, TokenizerSpec>();
  readonly #threads = new Set<ThreadHandle>();
  readonly #enqueue = createTick<PendingRow>((rows) => {
    if (this.#isShort(rows)) return this.#encodeHere(rows);
    for (const row of rows) this.#queue.push(row);
    this.#dispatch();
  });
  readonly #here = new LoadedTokenizers();
  #queue: PendingRow[] = [];
  /** Rows of groups; they go when no other row waits. */
  #groups: PendingRow[] = [];
  #starting: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;

  constructor(options: TokenizerPoolOptions) {
    if (!(options.threads >= 1)) throw new RangeError('a tokenizer pool needs a thread');
    this.#options = options;
  }

  /** Threads that take rows, or will in a moment. 0 after `stop`, or when none can be started. */
  get threads(): number {
    return this.#threads.size;
  }

  /**
   * Starts the threads. Idempotent.
   * @throws Error when a thread cannot be started
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /**
   * Loads a model's tokenizer in every thread; once this resolves, its rows can be tokenized.
   * @param model `name@version`
   * @throws Error that names the model and says what is wrong with its `tokenizer.json`
   */
  async loadModel(model: string, spec: TokenizerSpec): Promise<void> {
    await this.start();
    const refusal = this.#refusal();
    if (refusal !== null) throw refusal;
    // A thread that is being replaced meanwhile must come up with this model too.
    this.#models.set(model, spec);
    try {
      await Promise.all([...this.#threads].map((thread) => thread.loadModel(model, spec)));
      this.#here.load(model, spec);
    } catch (error) {
      this.#models.delete(model);
      throw error;
    }
  }

  /**
   * The ids of one row, see `Tokenizer.encode`. Rejects with an AppError: `text_too_long` or
   * `tokenizer_failed`, which are the row's own fault; `model_not_found` for a model that was not
   * loaded; `not_ready` after `stop`; `internal` while no thread can be started.
   */
  tokenize(model: string, row: RowInput, overflow: Overflow): Promise<TokenizedRow> {
    const spec = this.#specOf(model);
    if (spec instanceof AppError) return Promise.reject(spec);
    const { promise, resolve, reject } = Promise.withResolvers<TokenizedRow>();
    const { input, characters } = readablePart(row, spec.maxTokens, overflow);
    const pending = { row: { model, input, overflow }, characters, suspect: false };
    this.#enqueue({ ...pending, resolve, reject });
    return promise;
  }

  /**
   * The ids of many rows that nobody waits for singly, in order, or what is wrong with a row; rows
   * of `tokenize` go first. Rejects as `tokenize` does with what is not a row's own fault.
   */
  async tokenizeAll(
    model: string,
    rows: readonly { input: RowInput; overflow: Overflow }[],
  ): Promise<(TokenizedRow | AppError)[]> {
    const spec = this.#specOf(model);
    if (spec instanceof AppError) throw spec;
    const group = new RowGroup(rows.length);
    for (const [index, { input: whole, overflow }] of rows.entries()) {
      const { input, characters } = readablePart(whole, spec.maxTokens, overflow);
      const row = { model, input, overflow };
      this.#groups.push(new GroupRow(group, { row, characters, index }));
    }
    this.#dispatch();
    return group.result;
  }

  /** Ends the threads; rows that have no answer yet are rejected as `not_ready`. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<void> {
    if (this.#stopping !== null) throw stopped();
    const threads = Array.from({ length: this.#options.threads }, () => this.#createThread());
    try {
      await Promise.all(threads.map((thread) => thread.start(this.#models)));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async #stop(): Promise<void> {
    // Rows of this very turn are still in the tick, those in a thread come back by its end.
    this.#rejectQueue(stopped());
    await Promise.all([...this.#threads].map((thread) => thread.terminate()));
  }

  #createThread(): ThreadHandle {
    const thread = new ThreadHandle({
      entry: this.#options.entry ?? ENTRY,
      maxHeapMb: this.#options.maxHeapMb ?? DEFAULT_HEAP_MB,
      onIdle: () => this.#dispatch(),
      onDied: (dead, death) => this.#bury(dead, death),
    });
    this.#threads.add(thread);
    return thread;
  }

  /** Whether the rows of a turn are few and short, and nothing waits that came before them. */
  #isShort(rows: PendingRow[]): boolean {
    const limit = this.#options.inlineCharacters ?? INLINE_CHARACTERS;
    if (this.#queue.length > 0 || this.#refusal() !== null) return false;
    return rows.reduce((sum, { characters }) => sum + characters, 0) <= limit;
  }

  #encodeHere(rows: PendingRow[]): void {
    for (const { row, resolve, reject } of rows) {
      try {
        resolve(this.#here.encode(row));
      } catch (error) {
        reject(
          error instanceof AppError ? error : new AppError('tokenizer_failed', { cause: error }),
        );
      }
    }
  }

  #specOf(model: string): TokenizerSpec | AppError {
    return this.#refusal() ?? this.#models.get(model) ?? new AppError('model_not_found');
  }

  #dispatch(): void {
    const refusal = this.#refusal();
    if (refusal !== null) this.#rejectQueue(refusal);
    this.#dispatchQueue();
    if (this.#queue.length === 0) this.#dispatchGroups();
  }

  #dispatchQueue(): void {
    while (this.#queue.length > 0) {
      const open = [...this.#threads].filter((thread) => thread.open);
      const [first, ...others] = open;
      if (first === undefined) return;
      const idlest = others.reduce((best, one) => (one.load < best.load ? one : best), first);
      const sharers = open.filter((thread) => thread.idle).length || open.length;
      const share = Math.ceil(this.#queue.length / sharers);
      idlest.send(takeMessage(this.#queue, Math.min(share, MESSAGE_ROWS)));
    }
  }

  #dispatchGroups(): void {
    while (this.#groups.length > 0) {
      const open = [...this.#threads].filter((thread) => thread.hasRoom);
      const thread = open.find(({ idle }) => idle) ?? open[0];
      if (thread === undefined) return;
      thread.send(takeMessage(this.#groups, GROUP_MESSAGE_ROWS));
    }
  }

  /** Takes care of what a dead thread left: rows that it was working on get one more try, alone. */
  #bury(thread: ThreadHandle, { wasReady, reason, running, waiting }: ThreadDeath): void {
    this.#threads.delete(thread);
    const failed = running.filter((pending) => pending.suspect);
    const again = running.filter((pending) => !pending.suspect);
    for (const pending of again) pending.suspect = true;
    this.#queue = [...again, ...waiting, ...this.#queue];
    if (this.#stopping !== null) {
      for (const pending of failed) pending.reject(stopped());
      this.#rejectQueue(stopped());
      return;
    }
    for (const pending of failed) {
      pending.reject(new AppError('tokenizer_failed', { cause: new Error(`thread: ${reason}`) }));
    }
    this.#options.log?.error(
      { event: 'tokenizer.thread_died', reason, rows: running.length },
      'a tokenizer thread ended',
    );
    if (wasReady) void this.#replace();
  }

  async #replace(): Promise<void> {
    for (let attempt = 0; attempt < START_ATTEMPTS && this.#stopping === null; attempt++) {
      const thread = this.#createThread();
      try {
        await thread.start(this.#models);
        return this.#dispatch();
      } catch {
        // `#bury` has said why if it died; if it could not load a model, it must not be used.
        await thread.terminate();
      }
    }
    this.#options.log?.error({ event: 'tokenizer.thread_lost' }, 'no tokenizer thread comes up');
    this.#dispatch();
  }

  /** Why no row can be taken, or null. */
  #refusal(): AppError | null {
    if (this.#stopping !== null) return stopped();
    if (this.#threads.size > 0) return null;
    return new AppError('internal', { cause: new Error('no tokenizer thread can be started') });
  }

  #rejectQueue(error: AppError): void {
    for (const pending of this.#queue.splice(0)) pending.reject(error);
    for (const pending of this.#groups.splice(0)) pending.reject(error);
  }
}

/** Takes the first rows out of a queue, at least one, at most `most` and what a message may hold. */
function takeMessage(queue: PendingRow[], most: number): PendingRow[] {
  const candidates = queue.slice(0, most);
  let characters = 0;
  const beyond = candidates.findIndex((pending, i) => {
    characters += pending.characters;
    const alone = pending.suspect || candidates[0]?.suspect === true;
    return i > 0 && (alone || characters > MESSAGE_CHARACTERS);
  });
  return queue.splice(0, beyond === -1 ? candidates.length : beyond);
}

/** One unit more than will be read: enough for the thread to see that the text is longer. */
function readablePart(row: RowInput, maxTokens: number, overflow: Overflow) {
  if ('ids' in row) return { input: row, characters: row.ids.length };
  const paired = row.text_pair !== null;
  const text = row.text.slice(0, readableCharacters(maxTokens, overflow, paired) + 1);
  const pair = row.text_pair?.slice(0, readableCharacters(maxTokens, overflow, false) + 1) ?? null;
  return { input: { text, text_pair: pair }, characters: text.length + (pair?.length ?? 0) };
}

function stopped(): AppError {
  return new AppError('not_ready', { message: 'The tokenizer is stopped.' });
}
