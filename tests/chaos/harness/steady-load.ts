import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { z } from 'zod';

interface SteadyLoadOptions {
  url: string;
  jobsPerS: number;
  next: () => string;
  /** Where each tenth job calls back. */
  webhookUrl: string;
}

/** What became of one job that was accepted. */
export interface FollowedJob {
  id: string;
  callsBack: boolean;
  /** null: it never came to an end, or the API does not know it. */
  status: string | null;
  attempts: number;
  /** From the first byte of its submission to the answer that has its result. */
  totalMs: number;
}

const JobView = z.object({
  id: z.string(),
  status: z.string(),
  attempts: z.number(),
  finished_at: z.number().nullable(),
});

const CONNECTIONS = 256;
const STEP_MS = 10;
const EACH_CALLS_BACK = 10;
const LONG_POLL_S = 10;
const GIVE_UP_MS = 60_000;

/**
 * Submits at a fixed rate, whatever is answered, and polls each job to its end, over kept connections.
 * A refusal that says when to come again is obeyed; nothing else is tried again.
 */
export class SteadyLoad {
  readonly jobs: FollowedJob[] = [];
  /** Of each submission that was accepted at its first try. */
  readonly submitMs: number[] = [];
  /** Requests, by what was wrong with their answer. */
  readonly failures = new Map<string, number>();
  requests = 0;
  /** 429 and 503 with Retry-After. */
  refusals = 0;
  readonly #options: SteadyLoadOptions;
  readonly #agent = new Agent({ connections: CONNECTIONS });
  readonly #flows = new Set<Promise<void>>();
  readonly #loop: Promise<void>;
  #running = true;
  #submitted = 0;

  constructor(options: SteadyLoadOptions) {
    this.#options = options;
    this.#loop = this.#run();
  }

  get submitted(): number {
    return this.#submitted;
  }

  get failed(): number {
    return [...this.failures.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Submits no more; resolves when each job that was accepted has its end. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#loop;
    while (this.#flows.size > 0) await Promise.all(this.#flows);
    await this.#agent.close();
  }

  async #run(): Promise<void> {
    const began = performance.now();
    while (this.#running) {
      const due = ((performance.now() - began) / 1000) * this.#options.jobsPerS;
      while (this.#submitted < due) {
        const flow = this.#follow(this.#submitted++).finally(() => this.#flows.delete(flow));
        this.#flows.add(flow);
      }
      await sleep(STEP_MS);
    }
  }

  async #follow(place: number): Promise<void> {
    const began = performance.now();
    const callsBack = place % EACH_CALLS_BACK === 0;
    const webhook = callsBack ? { webhook: { url: this.#options.webhookUrl } } : {};
    const body = JSON.stringify({ input: this.#options.next(), ...webhook });
    const accepted = await this.#call('/v1/jobs', 202, body);
    if (accepted === null) return;
    this.submitMs.push(performance.now() - began);
    const job = { id: accepted.id, callsBack, status: null as string | null, attempts: 0 };
    while (performance.now() - began < GIVE_UP_MS) {
      const now = await this.#call(`/v1/jobs/${job.id}?wait=${LONG_POLL_S}`, 200);
      if (now === null || now.finished_at === null) continue;
      Object.assign(job, { status: now.status, attempts: now.attempts });
      break;
    }
    this.jobs.push({ ...job, totalMs: performance.now() - began });
  }

  /** @returns null when the request has failed */
  async #call(path: string, expected: number, body: string | null = null) {
    for (;;) {
      const answer = await this.#request(path, body);
      if (answer.status === expected) return JobView.parse(JSON.parse(answer.text));
      if (answer.retryAfterS === null) return this.#fail(`${path.split('?')[0]} ${answer.text}`);
      this.refusals += 1;
      await sleep(answer.retryAfterS * 1000);
    }
  }

  async #request(path: string, body: string | null) {
    this.requests += 1;
    try {
      const response = await request(`${this.#options.url}${path}`, {
        ...{ dispatcher: this.#agent, method: body === null ? 'GET' : 'POST', body },
        headers: body === null ? {} : { 'content-type': 'application/json' },
      });
      const text = await response.body.text();
      const { 'retry-after': again } = response.headers;
      const refused = response.statusCode === 429 || response.statusCode === 503;
      const retryAfterS = refused && again !== undefined ? Number(again) : null;
      return { status: response.statusCode, text, retryAfterS };
    } catch (error) {
      return { status: 0, text: String(error), retryAfterS: null };
    }
  }

  #fail(what: string): null {
    const kind = what.replace(/job_\w+/, '{id}');
    this.failures.set(kind, (this.failures.get(kind) ?? 0) + 1);
    return null;
  }
}
