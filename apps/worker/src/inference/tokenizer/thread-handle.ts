import { Worker } from 'node:worker_threads';
import { AppError } from '@headrace/shared/errors.ts';
import type { TokenizedRow } from '../encoding.ts';
import { unpackTokenizedRows } from './packed-rows.ts';
import type {
  FromThread,
  RowFailure,
  ThreadRow,
  TokenizerSpec,
  ToThread,
} from './thread-protocol.ts';

/** A row and its caller. */
export interface PendingRow {
  row: ThreadRow;
  /** UTF-16 units of text and pair. */
  characters: number;
  /** It was running when a thread died, so it travels alone and is not tried a third time. */
  suspect: boolean;
  resolve: (row: TokenizedRow) => void;
  reject: (error: AppError) => void;
}

export interface ThreadOptions {
  entry: URL;
  maxHeapMb: number;
  onIdle: () => void;
  onDied: (thread: ThreadHandle, death: ThreadDeath) => void;
}

/** How a thread ended, and what it left. */
export interface ThreadDeath {
  /** False when it had not loaded all models yet. */
  wasReady: boolean;
  /** Code or name of the error, and its message only if it came before any text could be in it. */
  reason: string;
  /** The rows that it was working on. */
  running: PendingRow[];
  /** The rows that it had not begun. */
  waiting: PendingRow[];
}

interface Load {
  model: string;
  loaded: PromiseWithResolvers<void>;
}

/** A thread with more than this to do gets no second message: what is in it would wait too long. */
const BUSY_CHARACTERS = 16_384;

/** Hardly anything outlives a message: more than this only takes memory. */
const YOUNG_GENERATION_MB = 16;

/** One tokenizer thread, from its start to its end; replacing it is the pool's business. */
export class ThreadHandle {
  readonly #options: ThreadOptions;
  readonly #worker: Worker;
  readonly #started = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #messages: PendingRow[][] = [];
  readonly #loads: Load[] = [];
  #reason = 'exit';
  #ready = false;
  #dead = false;

  constructor(options: ThreadOptions) {
    this.#options = options;
    this.#worker = new Worker(options.entry, {
      // None of the process's flags: it must not become somebody's test runner.
      execArgv: [],
      resourceLimits: {
        maxOldGenerationSizeMb: options.maxHeapMb,
        maxYoungGenerationSizeMb: YOUNG_GENERATION_MB,
      },
    });
    this.#worker.on('message', (message: FromThread) => this.#receive(message));
    this.#worker.on('error', (error: Error & { code?: string }) => {
      this.#reason = this.#ready ? (error.code ?? error.name) : error.message;
    });
    this.#worker.on('exit', () => this.#finish());
  }

  /** Characters that were sent and not answered. */
  get load(): number {
    let characters = 0;
    for (const rows of this.#messages) for (const row of rows) characters += row.characters;
    return characters;
  }

  get idle(): boolean {
    return this.#ready && this.#messages.length === 0;
  }

  /** Whether it would begin another message soon: it has none, or one that is short. */
  get open(): boolean {
    if (!this.#ready || this.#messages.length > 1) return false;
    return this.#messages.length === 0 || this.load < BUSY_CHARACTERS;
  }

  /** Whether it takes a message of rows that nobody waits for singly: one runs, one waits. */
  get hasRoom(): boolean {
    return this.#ready && this.#messages.length < 2;
  }

  /**
   * Waits until the thread runs and has loaded the models.
   * @throws Error when it ends before, or cannot load one of them
   */
  async start(models: ReadonlyMap<string, TokenizerSpec>): Promise<void> {
    const loads = [...models].map(([model, spec]) => this.loadModel(model, spec));
    await Promise.all([this.#started.promise, ...loads]);
    this.#ready = true;
  }

  loadModel(model: string, spec: TokenizerSpec): Promise<void> {
    const loaded = Promise.withResolvers<void>();
    if (this.#dead) loaded.reject(new Error('the tokenizer thread has ended'));
    else this.#loads.push({ model, loaded });
    this.#send({ type: 'load', model, spec });
    return loaded.promise;
  }

  send(rows: PendingRow[]): void {
    this.#messages.push(rows);
    this.#send({ type: 'rows', rows: rows.map((pending) => pending.row) });
  }

  /** Ends the thread, whatever it does; resolves once it is gone. Idempotent. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
    await this.#ended.promise;
  }

  #send(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #receive(message: FromThread): void {
    switch (message.type) {
      case 'started':
        this.#started.resolve();
        break;
      case 'loaded':
        this.#loads.shift()?.loaded.resolve();
        break;
      case 'load_failed': {
        const error = new Error(`${message.model}: tokenizer.json: ${message.message}`);
        this.#loads.shift()?.loaded.reject(error);
        break;
      }
      case 'rows':
        settle(this.#messages.shift() ?? [], message.packed, message.failures);
        this.#options.onIdle();
        break;
    }
  }

  #finish(): void {
    const wasReady = this.#ready;
    this.#ready = false;
    this.#dead = true;
    const error = new Error(`the tokenizer thread ended (${this.#reason})`);
    this.#started.reject(error);
    for (const { loaded } of this.#loads.splice(0)) loaded.reject(error);
    const [running = [], ...waiting] = this.#messages.splice(0);
    const left = { running, waiting: waiting.flat() };
    this.#options.onDied(this, { wasReady, reason: this.#reason, ...left });
    this.#ended.resolve();
  }
}

function settle(sent: PendingRow[], packed: Int32Array, failures: RowFailure[]): void {
  for (const { index, code, message, cause } of failures) {
    const details = cause === null ? { message } : { message, cause: new Error(cause) };
    sent[index]?.reject(new AppError(code, details));
  }
  unpackTokenizedRows(packed).forEach((row, i) => {
    if (row !== null) sent[i]?.resolve(row);
  });
}
