import { createLogger } from '@headrace/shared/logger.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';

/** A kill that may have chunks computed again. */
interface ChunkKill {
  atMs: number;
  /** Chunks that had ended so long before may be begun again, too: Redis forgot that they had. */
  forgottenMs: number;
  ofRedis: boolean;
}

/** Redis may forget so much by itself, if the disk is so slow that writes wait for a sync. */
const SLOW_DISK_MS = 2_000;

interface ChunkEvent {
  atMs: number;
  event: 'begun' | 'ended';
}

const ENDS = new Set(['completed', 'failed']);

/**
 * Reads the events that BullMQ itself writes when a worker takes a chunk and when it has done with
 * it. So what is computed again is counted from outside, also that of a worker that was killed, and
 * a chunk counts as a whole from the moment when it was taken.
 */
export class ChunkLog {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #chunks = new Map<string, ChunkEvent[]>();
  readonly #kills: ChunkKill[] = [];
  #lastId = '0';

  constructor(url: string, keys: Keyspace, queue: string) {
    const log = createLogger({ service: 'chaos', level: 'silent' });
    this.#redis = connectRedis({ url, role: 'worker', name: 'chunk-log', log });
    this.#key = keys.bull(queue, 'events');
    void this.#follow().catch(() => undefined);
  }

  stop(): void {
    this.#redis.disconnect();
  }

  noteKill(kill: ChunkKill): void {
    this.#kills.push(kill);
  }

  /** Times that a chunk of the batch was begun, beyond its first. */
  begunAgain(batch: string): number {
    return this.#of(batch).reduce((sum, events) => sum + begins(events).length - 1, 0);
  }

  /** Those of `begunAgain` that no kill explains: none found the chunk taken and not done. */
  unexplained(batch: string): number {
    let count = 0;
    for (const events of this.#of(batch)) {
      const times = begins(events);
      for (const [i, time] of times.entries()) {
        const before = times[i - 1];
        if (before !== undefined && !this.#isExplained(events, before, time)) count += 1;
      }
    }
    return count;
  }

  /** Chunks of the batch that a kill of Redis found taken, or done so lately that it may forget. */
  atRisk(batch: string): number {
    const kills = this.#kills.filter(({ ofRedis }) => ofRedis);
    const risks = kills.map(
      (kill) => this.#of(batch).filter((events) => isAtRisk(events, kill)).length,
    );
    return risks.reduce((a, b) => a + b, 0);
  }

  #isExplained(events: ChunkEvent[], before: number, time: number): boolean {
    return this.#kills.some(
      ({ atMs, forgottenMs, ofRedis }) =>
        before <= atMs &&
        atMs <= time &&
        isAtRisk(events, { atMs, forgottenMs: ofRedis ? SLOW_DISK_MS : forgottenMs }),
    );
  }

  #of(batch: string): ChunkEvent[][] {
    return [...this.#chunks].flatMap(([id, events]) => (id.startsWith(batch) ? [events] : []));
  }

  async #follow(): Promise<void> {
    for (;;) {
      const streams = await this.#redis.xread('BLOCK', 0, 'STREAMS', this.#key, this.#lastId);
      for (const [id, fields] of streams?.[0]?.[1] ?? []) {
        this.#lastId = id;
        this.#hear(Number(id.split('-')[0]), fields);
      }
    }
  }

  #hear(atMs: number, fields: string[]): void {
    const name = fields[fields.indexOf('event') + 1] ?? '';
    const chunk = fields[fields.indexOf('jobId') + 1] ?? '';
    const event = name === 'active' ? 'begun' : ENDS.has(name) ? 'ended' : null;
    if (event === null) return;
    const known = this.#chunks.get(chunk);
    if (known) known.push({ atMs, event });
    else this.#chunks.set(chunk, [{ atMs, event }]);
  }
}

function begins(events: ChunkEvent[]): number[] {
  return events.flatMap(({ event, atMs }) => (event === 'begun' ? [atMs] : []));
}

type Moment = Pick<ChunkKill, 'atMs' | 'forgottenMs'>;

function isAtRisk(events: ChunkEvent[], { atMs, forgottenMs }: Moment): boolean {
  const last = events.findLast((event) => event.atMs <= atMs);
  if (last === undefined) return false;
  return last.event === 'begun' || last.atMs >= atMs - forgottenMs;
}
