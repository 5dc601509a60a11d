import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { z } from 'zod';
import { inLanes } from '../lanes.ts';
import { WORDS } from '../words.ts';

interface Load {
  jobs: number;
  tricklePerS: number;
  trickleS: number;
}

const IN_FLIGHT = 64;
const TURNS_A_SECOND = 20;
const WORDS_A_TEXT = 9;

const Accepted = z.object({ id: z.string() });

/** Submits a burst over HTTP as fast as the API takes it, and then fewer and fewer jobs a second. */
export class Submitter {
  /** Of jobs that were accepted. */
  readonly ids: string[] = [];
  refused = 0;
  done = false;
  readonly #pool: Pool;
  readonly #model: string;

  constructor(url: string, model: string) {
    this.#pool = new Pool(url, { connections: IN_FLIGHT, pipelining: 1 });
    this.#model = model;
  }

  async run({ jobs, tricklePerS, trickleS }: Load): Promise<void> {
    await inLanes(jobs, IN_FLIGHT, (i) => this.#submit(i));
    const turns = trickleS * TURNS_A_SECOND;
    for (let turn = 0; turn < turns; turn++) {
      const next = sleep(1_000 / TURNS_A_SECOND);
      const count = Math.round((tricklePerS / TURNS_A_SECOND) * (1 - turn / turns));
      await inLanes(count, IN_FLIGHT, (i) => this.#submit(turn + i));
      await next;
    }
    this.done = true;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #submit(i: number): Promise<void> {
    const words = Array.from({ length: WORDS_A_TEXT }, (_, at) => WORDS[(i + at) % WORDS.length]);
    const { statusCode, body } = await this.#pool.request({
      method: 'POST',
      path: '/v1/jobs',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: this.#model, input: words.join(' ') }),
    });
    const answer: unknown = await body.json();
    if (statusCode === 202) this.ids.push(Accepted.parse(answer).id);
    else this.refused += 1;
  }
}
