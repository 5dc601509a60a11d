import { parseNotice } from '@headrace/shared/job-store.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';

/**
 * Hears every notice of the workers: which jobs were handed to an engine, and which records were
 * written. So inferences are counted from outside, also those of a worker that was killed.
 */
export class Observer {
  /** Times (of `performance.now()`) at which each job was handed to an engine. */
  readonly starts = new Map<string, number[]>();
  /** Times at which each job's record was written. */
  readonly finishes = new Map<string, number[]>();
  /** Called with each id whose record was written. */
  onFinished: (id: string) => void = () => undefined;
  readonly #redis: Redis;
  readonly #commands: Redis;
  readonly #keys: Keyspace;
  readonly #inFlight = new Set<string>();
  readonly #waiters = new Set<() => void>();

  constructor(url: string, keys: Keyspace) {
    const log = createLogger({ service: 'chaos', level: 'silent' });
    this.#redis = connectRedis({ url, role: 'worker', name: 'observer', log });
    this.#commands = connectRedis({ url, role: 'worker', name: 'observer-commands', log });
    this.#keys = keys;
    this.#redis.on('message', (channel, message) => this.#hear(channel, parseNotice(message).ids));
  }

  async start(): Promise<void> {
    await this.#redis.subscribe(this.#keys.startedChannel, this.#keys.finishedChannel);
  }

  stop(): void {
    this.#redis.disconnect();
    this.#commands.disconnect();
  }

  /** Resolves when everything has been heard that was said before. */
  async sync(): Promise<void> {
    await this.#redis.ping();
  }

  /** Ids that BullMQ counts as active in a queue. */
  activeJobs(queue: string): Promise<string[]> {
    return this.#commands.lrange(this.#keys.bull(queue, 'active'), 0, -1);
  }

  /** The worker (its BullMQ id) that has the lock of each active job; none where it has ended. */
  async holders(queue: string): Promise<Map<string, string>> {
    const ids = await this.activeJobs(queue);
    if (ids.length === 0) return new Map();
    const locks = await this.#commands.mget(ids.map((id) => `${this.#keys.bull(queue, id)}:lock`));
    const holders = ids.map((id, i): [string, string] => [id, locks[i]?.split(':')[0] ?? '']);
    return new Map(holders.filter(([, holder]) => holder !== ''));
  }

  /** Jobs that were handed to an engine and have no record. */
  get inFlight(): Set<string> {
    return new Set(this.#inFlight);
  }

  /** Runs beyond the first of each job. */
  get extraStarts(): number {
    let extra = 0;
    for (const times of this.starts.values()) extra += times.length - 1;
    return extra;
  }

  /** Records that were written more than once. */
  get doubled(): number {
    let doubled = 0;
    for (const times of this.finishes.values()) if (times.length > 1) doubled += 1;
    return doubled;
  }

  /** Resolves when `holds` is true; it is asked at each notice. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter = () => {
      if (!holds()) return;
      this.#waiters.delete(waiter);
      resolve();
    };
    this.#waiters.add(waiter);
    return promise;
  }

  /** Resolves when `count` more records were written. */
  untilMoreFinished(count: number): Promise<void> {
    const goal = this.finishes.size + count;
    return this.until(() => this.finishes.size >= goal);
  }

  #hear(channel: string, ids: string[]): void {
    const now = performance.now();
    const finished = channel === this.#keys.finishedChannel;
    const times = finished ? this.finishes : this.starts;
    for (const id of ids) {
      append(times, id, now);
      if (finished) {
        this.#inFlight.delete(id);
        this.onFinished(id);
      } else if (!this.finishes.has(id)) this.#inFlight.add(id);
    }
    for (const waiter of [...this.#waiters]) waiter();
  }
}

function append(times: Map<string, number[]>, id: string, now: number): void {
  const known = times.get(id);
  if (known) known.push(now);
  else times.set(id, [now]);
}
