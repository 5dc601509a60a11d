import { parseNotice } from '@headrace/shared/job-store.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import type { StoredRecord } from '@headrace/shared/stored-record.ts';
import type { Redis } from 'ioredis';

/** Is given the finished record where the notice brought it along. */
type Listener = (record: StoredRecord | null) => void;

/**
 * Who waits for which job, over one subscription of the process. A notice carries ids,
 * and a single small record; the listener reads it otherwise, and may be called without a reason.
 */
export class FinishedHub {
  readonly #redis: Redis;
  readonly #keys: Keyspace;
  readonly #finished = new Map<string, Set<Listener>>();
  readonly #started = new Map<string, Set<Listener>>();
  #running = false;
  #released = false;

  /** @param redis a connection of its own; it is only used to subscribe */
  constructor(redis: Redis, keys: Keyspace) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Subscribes now, or as soon as Redis is there. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#redis.on('message', this.#onMessage);
    this.#redis.on('ready', this.#onReady);
    if (this.#redis.status === 'ready') this.#onReady();
  }

  stop(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#redis.off('message', this.#onMessage);
    this.#redis.off('ready', this.#onReady);
  }

  /** Lets everybody go who waits, now and from now on. */
  release(): void {
    this.#released = true;
    this.#notifyAll();
  }

  /** Nobody should wait any longer. */
  get released(): boolean {
    return this.#released;
  }

  /** Calls `listener` when the job may have finished. @returns how to stop listening */
  onFinished(id: string, listener: Listener): () => void {
    return listen(this.#finished, id, listener);
  }

  /** Calls `listener` when the job may have started; subscribed only while somebody listens. */
  onStarted(id: string, listener: Listener): () => void {
    const unlisten = listen(this.#started, id, listener);
    // A start between the listener's first look and the subscription would be missed.
    if (this.#started.size === 1) this.#subscribe(this.#keys.startedChannel, this.#started);
    return () => {
      unlisten();
      if (this.#started.size > 0) return;
      this.#redis.unsubscribe(this.#keys.startedChannel).catch(ignore);
    };
  }

  /** Jobs that somebody waits for. */
  get waiting(): number {
    return this.#finished.size;
  }

  readonly #onMessage = (channel: string, message: string): void => {
    const listeners = channel === this.#keys.finishedChannel ? this.#finished : this.#started;
    if (listeners.size === 0) return;
    const { ids, record } = parseNotice(message);
    for (const id of ids) notify(listeners.get(id), record);
  };

  // Notices of the time without a connection are gone: once subscribed again, everybody looks.
  readonly #onReady = (): void => {
    this.#subscribe(this.#keys.finishedChannel, this.#finished);
    if (this.#started.size > 0) this.#subscribe(this.#keys.startedChannel, this.#started);
  };

  #subscribe(channel: string, listeners: Map<string, Set<Listener>>): void {
    this.#redis.subscribe(channel).then(() => {
      for (const each of [...listeners.values()]) notify(each);
    }, ignore);
  }

  #notifyAll(): void {
    for (const each of [...this.#finished.values(), ...this.#started.values()]) notify(each);
  }
}

/** A subscription fails only with its connection; the next `ready` makes a new one. */
function ignore(): void {}

function listen(map: Map<string, Set<Listener>>, id: string, listener: Listener): () => void {
  const listeners = map.get(id) ?? new Set();
  listeners.add(listener);
  map.set(id, listeners);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0 && map.get(id) === listeners) map.delete(id);
  };
}

function notify(listeners: Set<Listener> | undefined, record: StoredRecord | null = null): void {
  for (const listener of [...(listeners ?? [])]) listener(record);
}
