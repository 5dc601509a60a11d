import { AppError } from '@headrace/shared/errors.ts';
import type { Job } from '@headrace/shared/jobs.ts';
import { redisFailure } from '@headrace/shared/redis.ts';
import type { FinishedHub } from './finished-hub.ts';
import { READ_AGAIN_MS } from './job-watch.ts';
import type { Jobs } from './jobs.ts';
import { publicError } from './middleware/errors.ts';

interface JobEventsOptions {
  jobs: Jobs;
  hub: FinishedHub;
  tenant: string;
  id: string;
  lastEventId: string | null;
  /** Called once, when the stream has ended on either side. */
  onClose: () => void;
}

const HEARTBEAT_MS = 15_000;
/** The longest delay that a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What an event stands for; a client that comes back with it is not told the same again. */
export function eventId(job: Job): string {
  return `${job.status}-${job.attempts}`;
}

/**
 * The changes of one job as server-sent events. Reads the job when a notice says so, and polls only
 * while Redis does not answer.
 */
export class JobEvents {
  readonly #options: JobEventsOptions;
  readonly #undo: (() => void)[] = [];
  readonly #encoder = new TextEncoder();
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #lastId: string | null;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #lookAgain = false;

  constructor(options: JobEventsOptions) {
    this.#options = options;
    this.#lastId = options.lastEventId;
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      start: (controller) => this.#open(controller),
      cancel: () => this.#close(),
    });
  }

  #open(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const { hub, id, onClose } = this.#options;
    const look = () => void this.#look();
    const heartbeat = setInterval(() => this.#send(': keep-alive\n\n'), HEARTBEAT_MS);
    this.#controller = controller;
    this.#undo.push(
      hub.onFinished(id, look),
      hub.onStarted(id, look),
      () => clearInterval(heartbeat),
      () => clearTimeout(this.#timer),
      onClose,
    );
    look();
  }

  /** Notices that come while the job is read lead to one more look. */
  async #look(): Promise<void> {
    this.#lookAgain = true;
    if (this.#looking) return;
    this.#looking = true;
    while (this.#lookAgain && this.#controller) {
      this.#lookAgain = false;
      await this.#lookOnce();
    }
    this.#looking = false;
  }

  async #lookOnce(): Promise<void> {
    const { jobs, hub, tenant, id } = this.#options;
    try {
      this.#tell(await jobs.get(tenant, id));
    } catch (error) {
      if (redisFailure(error)) this.#lookAfter(READ_AGAIN_MS);
      else this.#fail(error);
    }
    if (hub.released) this.#end();
  }

  #tell(job: Job): void {
    // The client may have gone while the job was read.
    if (!this.#controller) return;
    const finished = job.finished_at !== null;
    const id = eventId(job);
    if (id !== this.#lastId) {
      this.#lastId = id;
      const event = finished ? 'job' : 'status';
      this.#send(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(job)}\n\n`);
    }
    if (finished) this.#end();
    else if (job.status === 'queued') this.#lookAtExpiry(job);
  }

  /** Nobody may be there to say that the job expired, so it is looked at when it should have. */
  #lookAtExpiry(job: Job): void {
    const dueMs = job.expires_at * 1000 - Date.now() + 1;
    this.#lookAfter(Math.min(Math.max(dueMs, 1), MAX_TIMER_MS));
  }

  #lookAfter(delayMs: number): void {
    clearTimeout(this.#timer);
    // The client may have gone meanwhile.
    if (this.#controller) this.#timer = setTimeout(() => void this.#look(), delayMs);
  }

  #fail(error: unknown): void {
    const failure = error instanceof AppError ? error : new AppError('internal', { cause: error });
    this.#send(`event: error\ndata: ${JSON.stringify({ error: publicError(failure) })}\n\n`);
    this.#end();
  }

  #send(text: string): void {
    this.#controller?.enqueue(this.#encoder.encode(text));
  }

  #end(): void {
    this.#controller?.close();
    this.#close();
  }

  #close(): void {
    this.#controller = null;
    for (const undo of this.#undo.splice(0)) undo();
  }
}
