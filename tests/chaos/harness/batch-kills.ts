import { setTimeout as sleep } from 'node:timers/promises';
import { type BatchState, isTerminal } from '@headrace/shared/bulk/batch.ts';
import type { BulkStack, Victim } from './bulk-stack.ts';

type ScoringKill = Victim | 'redis' | 'power';

/** What is killed while one batch runs, and when. */
export interface KillPlan {
  /** Kills of the dispatcher while it reads the input. */
  planning: number;
  /** In their order, spread evenly over the rows; `redis`: with its last second, `power`: without. */
  scoring: ScoringKill[];
  /** Kills of the dispatcher while it writes the output. */
  assembling: number;
  /** Redis dies while the input is read, while the output is written, and loses its last second as
   * soon as the batch is completed. */
  redisAtBothEnds: boolean;
}

export interface KillCounts {
  api: number;
  dispatcher_planning: number;
  dispatcher_scoring: number;
  dispatcher_assembling: number;
  worker: number;
  engine: number;
  redis: number;
  redis_without_last_second: number;
}

/** So many of each, spread evenly among one another. */
export function spread(counts: Partial<Record<ScoringKill, number>>): ScoringKill[] {
  const places = Object.entries(counts).flatMap(([victim, count]) =>
    Array.from({ length: count }, (_, i) => ({ victim, at: (i + 0.5) / count })),
  );
  return places.sort((a, b) => a.at - b.at).map(({ victim }) => victim as ScoringKill);
}

/** How many kills a plan has, those of Redis among them. */
export function plannedKills({ planning, scoring, assembling, redisAtBothEnds }: KillPlan): number {
  const ofApiAtFirst = 1;
  return ofApiAtFirst + planning + scoring.length + assembling + (redisAtBothEnds ? 3 : 0);
}

interface Sizes {
  /** About what the planner writes. */
  inputBytes: number;
  outputBytes: number;
}

const LOOK_MS = 5;
/** Beyond any fault of the table. */
const GIVE_UP_MS = 300_000;

/** Kills processes around one batch as planned, as long as the batch leaves time for it. */
export class BatchKiller {
  readonly counts: KillCounts = {
    api: 0,
    dispatcher_planning: 0,
    dispatcher_scoring: 0,
    dispatcher_assembling: 0,
    worker: 0,
    engine: 0,
    redis: 0,
    redis_without_last_second: 0,
  };
  readonly #stack: BulkStack;
  readonly #id: string;
  readonly #sizes: Sizes;
  /** Unfinished files of writers that were killed. */
  readonly #dead = new Set<string>();

  constructor(stack: BulkStack, id: string, sizes: Sizes) {
    this.#stack = stack;
    this.#id = id;
    this.#sizes = sizes;
  }

  async run(plan: KillPlan): Promise<void> {
    await this.#kill('api');
    const { inputBytes, outputBytes } = this.#sizes;
    await this.#whileWriting(plan.planning, inputBytes, {
      during: 'validating',
      kill: () => this.#kill('dispatcher', 'dispatcher_planning'),
      last: plan.redisAtBothEnds ? () => this.#killRedis() : null,
    });
    await this.#whileScoring(plan.scoring);
    await this.#whileWriting(plan.assembling, outputBytes, {
      during: 'finalizing',
      kill: () => this.#kill('dispatcher', 'dispatcher_assembling'),
      last: plan.redisAtBothEnds ? () => this.#killRedis() : null,
    });
    await this.#until((state) => isTerminal(state.status));
    if (plan.redisAtBothEnds) {
      await this.#losePower();
      await this.#until((state) => isTerminal(state.status));
    }
    await this.#stack.settled();
  }

  /** At even distances of what is written while the batch is in a status, one kill each time. */
  async #whileWriting(
    times: number,
    bytes: number,
    on: {
      during: BatchState['status'];
      kill: () => Promise<void>;
      last: (() => Promise<void>) | null;
    },
  ): Promise<void> {
    const kills = [...Array.from({ length: times }, () => on.kill), ...(on.last ? [on.last] : [])];
    for (const [i, kill] of kills.entries()) {
      const share = (i + 0.5) / kills.length;
      await this.#until(({ status }) => status === on.during || isPast(status, on.during));
      if (!(await this.#hasWritten(share * bytes, on.during))) return;
      await kill();
      for (const name of (await this.#stack.beingWritten()).keys()) this.#dead.add(name);
    }
  }

  /** @returns false when the batch has gone on before so much of one file was written */
  async #hasWritten(bytes: number, during: BatchState['status']): Promise<boolean> {
    for (;;) {
      for (const [name, size] of await this.#stack.beingWritten()) {
        if (!this.#dead.has(name) && size >= bytes) return true;
      }
      const { status } = await this.#state();
      if (status !== during) return false;
      await sleep(LOOK_MS);
    }
  }

  async #whileScoring(victims: KillPlan['scoring']): Promise<void> {
    for (const [i, victim] of victims.entries()) {
      const share = (i + 0.5) / victims.length;
      const reached = await this.#until((state) => {
        const done = state.completed + state.failed;
        const begun = state.status === 'in_progress' && done >= share * state.total;
        return begun || isPast(state.status, 'in_progress');
      });
      if (reached.status !== 'in_progress') return;
      if (victim === 'redis') await this.#killRedis();
      else if (victim === 'power') await this.#losePower();
      else if (victim === 'dispatcher') await this.#kill(victim, 'dispatcher_scoring');
      else await this.#kill(victim);
    }
  }

  async #kill(victim: Victim, as: keyof KillCounts | null = null): Promise<void> {
    await this.#stack.kill(victim);
    this.counts[as ?? (victim === 'dispatcher' ? 'dispatcher_scoring' : victim)] += 1;
  }

  async #killRedis(): Promise<void> {
    await this.#stack.killRedis();
    this.counts.redis += 1;
  }

  async #losePower(): Promise<void> {
    await this.#stack.killRedis({ losesLastSecond: true });
    this.counts.redis_without_last_second += 1;
  }

  async #until(holds: (state: BatchState) => boolean): Promise<BatchState> {
    const giveUp = performance.now() + GIVE_UP_MS;
    for (;;) {
      const state = await this.#state();
      if (holds(state)) return state;
      if (performance.now() > giveUp) throw new Error(`still ${JSON.stringify(state)}`);
      await sleep(LOOK_MS);
    }
  }

  async #state(): Promise<BatchState> {
    const batch = await this.#stack.batches.read(this.#id);
    if (batch === null) throw new Error(`${this.#id} was lost`);
    return batch.state;
  }
}

const ORDER: BatchState['status'][] = ['validating', 'in_progress', 'finalizing', 'completed'];

function isPast(status: BatchState['status'], than: BatchState['status']): boolean {
  return isTerminal(status) || ORDER.indexOf(status) > ORDER.indexOf(than);
}
