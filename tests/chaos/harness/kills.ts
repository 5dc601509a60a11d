import type { Observer } from './observer.ts';

/** A `kill -9` of a worker and what it interrupted. */
export interface Kill {
  atMs: number;
  /** Jobs that an engine had, of any worker, when the kill was over. */
  inFlight: Set<string>;
}

/** No lock is younger than half its 15 s, so nobody else gets a dead worker's job before this. */
const SOONEST_RECOVERY_MS = 5_000;

/** Runs beyond a job's first that no kill in the middle of the one before explains. */
export function unexplainedRuns(observer: Observer, kills: Kill[]): number {
  let unexplained = 0;
  for (const [id, times] of observer.starts) {
    for (const [i, time] of times.entries()) {
      const before = times[i - 1];
      if (before === undefined) continue;
      const cause = kills.find(
        (kill) => kill.inFlight.has(id) && before <= kill.atMs && kill.atMs <= time,
      );
      if (!cause) unexplained += 1;
    }
  }
  return unexplained;
}

/** From one look to the next, who held the locks of a queue's jobs. */
export class HolderLog {
  readonly #observer: Observer;
  readonly #queue: string;
  readonly #held = new Map<string, { holder: string; sinceMs: number }[]>();
  readonly #interrupted = new Map<string, { id: string; holder: string; atMs: number }>();

  constructor(observer: Observer, queue: string) {
    this.#observer = observer;
    this.#queue = queue;
  }

  /** Looks now. @returns jobs with the worker that has their lock */
  async look(): Promise<Map<string, string>> {
    const holders = await this.#observer.holders(this.#queue);
    const sinceMs = performance.now();
    for (const [id, holder] of holders) {
      const known = this.#held.get(id) ?? [];
      if (known.at(-1)?.holder !== holder) this.#held.set(id, [...known, { holder, sinceMs }]);
    }
    return holders;
  }

  /** Call it after a kill: what nobody finishes soon was held by the worker that is dead now. */
  async noteKill(atMs: number): Promise<void> {
    for (const [id, holder] of await this.look()) {
      const key = `${id} ${holder}`;
      // The lock of a dead worker lasts beyond the next kills; the first one is its own.
      if (!this.#interrupted.has(key)) this.#interrupted.set(key, { id, holder, atMs });
    }
  }

  /** How long each interrupted job waited until another worker had it, milliseconds. */
  recoveries(): number[] {
    const waits: number[] = [];
    for (const { id, holder, atMs } of this.#interrupted.values()) {
      const soonest = atMs + SOONEST_RECOVERY_MS;
      const finished = this.#observer.finishes.get(id)?.[0];
      if (finished === undefined || finished < soonest) continue;
      const next = this.#held.get(id)?.find((each) => {
        return each.holder !== holder && each.sinceMs >= atMs;
      });
      const started = this.#observer.starts.get(id)?.find((time) => time >= soonest);
      const ends = [finished, started, next?.sinceMs].filter((time) => time !== undefined);
      waits.push(Math.min(...ends) - atMs);
    }
    return waits;
  }
}
