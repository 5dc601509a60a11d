import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { z } from 'zod';

/** What the faults look at in a job. The whole shape is proven elsewhere. */
const JobView = z.object({
  id: z.string(),
  status: z.enum(['queued', 'running', 'succeeded', 'failed', 'canceled', 'expired']),
  attempts: z.number(),
  output: z.array(z.looseObject({ error: z.object({ code: z.string() }).optional() })).nullable(),
  error: z.object({ code: z.string() }).nullable(),
  timings: z.object({ infer_ms: z.number(), batch_rows: z.number() }).nullable(),
  finished_at: z.number().nullable(),
});
export type JobView = z.infer<typeof JobView>;

export interface JobBody {
  model?: string;
  input: string | string[];
  timeout_s?: number;
  webhook?: { url: string };
}

export interface Answer {
  status: number;
  retryAfterS: number | null;
  /** The answer to an earlier request under the Idempotency-Key. */
  replayed: boolean;
  body: unknown;
  ms: number;
}

interface Call {
  method: 'GET' | 'POST';
  body?: unknown;
  headers?: Record<string, string>;
}

const CONNECTIONS = 256;
const LONG_POLL_S = 30;
/** Beyond any fault of the table. */
const GIVE_UP_MS = 180_000;

/** A caller of the API over kept connections, who obeys Retry-After. */
export class JobClient {
  readonly #url: string;
  readonly #agent = new Agent({ connections: CONNECTIONS, keepAliveTimeout: 30_000 });

  constructor(url: string) {
    this.#url = url;
  }

  /** One request, whatever is answered. @throws Error when the connection fails */
  async call(path: string, { method, body, headers = {} }: Call): Promise<Answer> {
    const began = performance.now();
    const response = await request(`${this.#url}${path}`, {
      method,
      dispatcher: this.#agent,
      body: body === undefined ? null : JSON.stringify(body),
      headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    });
    const text = await response.body.text();
    const retryAfter = response.headers['retry-after'];
    return {
      status: response.statusCode,
      retryAfterS: retryAfter === undefined ? null : Number(retryAfter),
      replayed: response.headers['idempotent-replayed'] === 'true',
      body: isJson(response.headers['content-type']) ? JSON.parse(text) : text,
      ms: performance.now() - began,
    };
  }

  /** Submits, again after each refusal that says when. @returns the id of the accepted job */
  async submit(body: JobBody): Promise<string> {
    const { status, body: answer } = await this.#insist('/v1/jobs', { method: 'POST', body });
    if (status !== 202) throw new Error(`POST /v1/jobs: ${status} ${JSON.stringify(answer)}`);
    return JobView.parse(answer).id;
  }

  /** The job as it is, or null when the API does not know it: it was lost. */
  async get(id: string, waitS = 0): Promise<JobView | null> {
    const path = `/v1/jobs/${id}${waitS > 0 ? `?wait=${waitS}` : ''}`;
    const { status, body } = await this.#insist(path, { method: 'GET' });
    if (status === 404) return null;
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
    return JobView.parse(body);
  }

  /** Polls until the job is finished. @returns null when it was lost, or has no end in 3 minutes */
  async untilFinished(id: string): Promise<JobView | null> {
    const giveUp = performance.now() + GIVE_UP_MS;
    while (performance.now() < giveUp) {
      const job = await this.get(id, LONG_POLL_S);
      if (job === null || job.finished_at !== null) return job;
    }
    return null;
  }

  /** The sum of a metric's series that contain `label`, such as `reason="killed"`. */
  async metric(name: string, label = ''): Promise<number> {
    const { body } = await this.call('/metrics', { method: 'GET' });
    return readMetric(String(body), name, label);
  }

  close(): Promise<void> {
    return this.#agent.close();
  }

  async #insist(path: string, call: Call): Promise<Answer> {
    const giveUp = performance.now() + GIVE_UP_MS;
    for (;;) {
      const answer = await this.call(path, call);
      if (answer.retryAfterS === null || performance.now() > giveUp) return answer;
      await sleep(answer.retryAfterS * 1000);
    }
  }
}

export function readMetric(text: string, name: string, label = ''): number {
  let total = 0;
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue;
    if (line.includes(label)) total += Number(line.slice(line.lastIndexOf(' ')));
  }
  return total;
}

function isJson(contentType: string | string[] | undefined): boolean {
  return String(contentType).startsWith('application/json');
}
